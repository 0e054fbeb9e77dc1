"""What is explained of access is what it does with the same request, and explaining counts nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from asking import NOW, ask_of, credentials, request_of, subscriber
from oneproxy.access.bans import ACCOUNT, SOURCE, Ban, Bans
from oneproxy.access.guard import REQUESTS, WRONG_PASSWORDS
from oneproxy.access.nonces import Nonces
from oneproxy.access.sources import source_of
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Ask, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Flood, Rule, Site, Subscriber

LISTENER = Listener("TLS", "192.0.2.1", 5061)
HOSTS = ("192.0.2.7", "192.0.2.8", "10.1.2.3", "2001:db8::7")
METHODS = ("INVITE", "REGISTER", "MESSAGE", "OPTIONS")
ALGORITHMS = ("MD5", "SHA-256")
URIS = (
    "sip:bob@example.com",
    "sip:example.com",
    "sip:other.org",
    "sip:x@elsewhere.net",
    "tel:+351912345678",
    "sip:+351912345678@192.0.2.1",
)
SENDERS = (
    "<sip:alice@example.com>",
    "<sip:info@example.com>",
    "<sip:sales@example.com>",
    "<sip:bob@example.com>",
    "<sip:carol@other.org>",
    "<sip:zoe@other.org>",
    "<sip:dave@elsewhere.net>",
    "<sip:example.com>",
    "<tel:+351211234567>",
    "<mailto:alice@example.com>",
)
ALIASES = {"info@example.com": "alice@example.com", "+351211234567@example.com": "alice@example.com"}

domains = st.builds(
    Domain,
    st.just(""),
    st.lists(st.sampled_from(METHODS), unique=True).map(tuple),
    st.sampled_from([("MD5",), ("SHA-256", "MD5"), ("SHA-256",)]),
)
rules = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["192.0.2.0/24", "192.0.2.7/32", "10.0.0.0/8", "::/0", "2001:db8::/32", "0.0.0.0/0"]),
        action=st.sampled_from(["trust", "allow", "allow", "deny"]),
        methods=st.sampled_from([(), (), ("INVITE",), ("REGISTER", "MESSAGE")]),
    )
    | st.builds(
        Rule,
        client=st.sampled_from(["gw.example.net", "b.example.net"]),
        action=st.sampled_from(["trust", "allow", "deny"]),
        methods=st.sampled_from([(), ("INVITE",)]),
    ),
    max_size=3,
)
floods = st.builds(
    Flood,
    requests=st.sampled_from([0, 0, 2]),
    account_requests=st.sampled_from([0, 0, 2]),
)
bans = st.lists(
    st.tuples(
        st.sampled_from([*HOSTS, "alice@example.com", "carol@other.org"]),
        st.sampled_from([-5.0, 60.0]),
        st.sampled_from([REQUESTS, WRONG_PASSWORDS]),
    ),
    max_size=2,
)
users = st.tuples(
    st.sets(st.sampled_from(ALGORITHMS), min_size=1),
    st.sampled_from([(), ("sales@example.com",), ("*@example.com",), ("bob@example.com",)]),
)


def made_site(
    of_example: Domain,
    of_other: Domain,
    access: list[Rule],
    flood: Flood,
    alice: tuple[set[str], tuple[str, ...]],
) -> Site:
    served = {
        name: replace(one, name=name) for name, one in (("example.com", of_example), ("other.org", of_other))
    }
    known, may_use = alice
    subscribers: dict[str, Subscriber] = {
        aor: subscriber(aor) for aor in ("bob@example.com", "carol@other.org")
    }
    whole = subscriber("alice@example.com")
    ha1 = {name: one for name, one in whole.ha1.items() if name in known}
    subscribers[whole.aor] = replace(whole, ha1=ha1, may_use=may_use)
    return Site(served, subscribers, access=tuple(access), flood=flood)


sites = st.builds(made_site, domains, domains, rules, floods, users)

#: Method, URI, From, To, host, the name in the certificate.
requests = st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from(URIS),
    st.sampled_from(SENDERS),
    st.sampled_from(SENDERS[:-1]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", "", "gw.example.net", "b.example.net"]),
)
Asked = tuple[str, str, str, str, str, str]


class Scene:
    """Access with a site, bans and requests that came before."""

    def __init__(self, site: Site, banned: list[tuple[str, float, str]], before: list[Asked]) -> None:
        self.site = site
        self.nonces = Nonces(b"farm")
        of = Domains(site.domains, {"192.0.2.1:5061", "192.0.2.1"}, ALIASES, site.subscribers)
        self.bans = Bans()
        self.step = Access(site, site.subscribers, of, self.nonces, bans=self.bans, aliases=ALIASES)
        for name, lasts_s, why in banned:
            kind, named = (ACCOUNT, name) if "@" in name else (SOURCE, source_of(name))
            self.bans.add(Ban(kind, named, NOW - 10, NOW + lasts_s, why), everywhere=False)
        for asked in before:
            self.decide(asked)

    def ask(self, asked: Asked, *headers: str) -> Ask:
        method, uri, sender, to, host, client = asked
        flow = Flow(LISTENER, host, 5062, "tls/1")
        if client:
            flow.client_names = (client,)
        return ask_of(request_of(method, uri, *headers, sender=sender, to=to), flow=flow)

    def decide(self, asked: Asked) -> tuple[str, str | None, bool]:
        """What becomes of it with the password of who is to answer a challenge."""
        method, uri, sender, to, host, _ = asked
        is_registering = method == "REGISTER" and uri in (
            "sip:example.com",
            "sip:other.org",
            "sip:bob@example.com",
        )
        realm, user = "example.com", "nobody"
        if is_registering:
            realm = uri.rpartition("@")[2].rpartition(":")[2]
        claims = [sender, to] if is_registering else [sender]
        for claimed in map(account_of, claims):
            if claimed is not None and (claimed[1] == realm or not is_registering):
                user, realm = claimed
                break
        domain = self.site.domains[realm]
        found = self.site.subscribers.get(f"{user}@{realm}")
        usable = [one for one in domain.algorithms if found is None or one in found.ha1]
        nonce = self.nonces.make(NOW, source_of(host))
        value = credentials(nonce, method, uri, user, realm, algorithm=(usable or list(domain.algorithms))[0])
        field = "Authorization" if is_registering else "Proxy-Authorization"
        ask = self.ask(asked, f"{field}: {value}")
        decision = self.step.decide(ask)
        if decision is None:
            return "", ask.subscriber, ask.trusted
        assert isinstance(decision, Reply)
        assert decision.cause
        return decision.cause, None, ask.trusted

    def counts(self) -> list[object]:
        """What the guard and the bans hold."""
        guard = self.step._guard
        windows = (guard._requests, guard._wrong, guard._account_requests, guard._account_wrong)
        return [[dict(one) for one in window._slices if one] for window in windows] + [len(self.bans)]


def account_of(written: str) -> tuple[str, str] | None:
    """User and realm of whom an address claims to be, aliases resolved; None for nobody of ours."""
    if written.startswith("<tel:+351211234567"):
        return "alice", "example.com"
    if not written.startswith("<sip:"):
        return None
    user, at, host = written.removeprefix("<sip:").rstrip(">").rpartition("@")
    if not at or host not in ("example.com", "other.org"):
        return None if at or host != "example.com" else ("nobody", "example.com")
    return ("alice" if user == "info" else user), host


@given(sites, bans, st.lists(requests, max_size=4), requests)
@settings(max_examples=1000)
def test_what_is_explained_is_what_is_decided(
    site: Site, banned: list[tuple[str, float, str]], before: list[Asked], asked: Asked
) -> None:
    scene = Scene(site, banned, before)
    ask = scene.ask(asked)
    scene.step.explain(scene.ask(asked))
    held = scene.counts()
    told = scene.step.explain(ask)
    assert scene.counts() == held
    assert (told.cause, ask.subscriber, ask.trusted) == scene.decide(asked)
    assert told.steps[-1][0] == "access"
    assert told.steps[-1][1].startswith("refused: " if told.cause else ("let in", "trusted"))
