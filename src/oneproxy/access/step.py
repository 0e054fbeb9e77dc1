"""The step that says who may ask for anything: address rules, the flood guard, the password.

Each refusal has a cause (`causes`), which is counted and logged, and which the peer is not told.

A REGISTER for a served domain is challenged by that domain, the registrar's; any other request by
the domain of its From, since that is whom the caller claims to be. A caller of a domain that is
not served here is a call from outside: it cannot prove anything to us, and later steps let it
reach the users of served domains only. A caller of ours who wants something elsewhere is always
asked who he is, since only then is it relayed (RFC 3261 22, RFC 7616, RFC 8760).
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

from oneproxy.access import causes
from oneproxy.access.bans import ACCOUNT, SOURCE, Ban, Bans
from oneproxy.access.explaining import Parts, Told, explain_access, explain_screen
from oneproxy.access.guard import Guard, Registered
from oneproxy.access.nonces import Nonces
from oneproxy.access.owners import Owners
from oneproxy.access.replays import Replays
from oneproxy.access.rules import DENY, TRUST, Rules
from oneproxy.access.sources import source_of, source_of_binding
from oneproxy.access.verify import CALLERS, PROVED, Domains, Realm, Verifier
from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.engine.flow import Flow
from oneproxy.sip.identity import trusted_lines
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Domain, Site, Subscriber

_FORBIDDEN: Final = (403, "Forbidden", ())
#: Nothing is remembered for these, whoever they are given to: each is the same when asked again.
REFUSED: Final = {
    cause: Reply(*_FORBIDDEN, stateless=True, cause=cause)
    for cause in (causes.ADDRESS_DENIED, causes.BANNED, causes.FLOOD)
}
MALFORMED: Final = Reply(
    400, REASONS[Malformed.CREDENTIALS], stateless=True, cause=causes.MALFORMED_CREDENTIALS
)
BAD_FROM: Final = Reply(400, REASONS[Malformed.FROM], stateless=True, cause=causes.BAD_FROM)
#: What was proved has used up its nonce: sent again it would be another answer, so these are kept.
OTHER_USER: Final = Reply(*_FORBIDDEN, cause=causes.OTHER_USER)
ACCOUNT_REFUSED: Final = {cause: Reply(*_FORBIDDEN, cause=cause) for cause in (causes.BANNED, causes.FLOOD)}
#: Whoever has these has shown the password, so the client need not ask for it.
_ON_NONCE: Final = frozenset((causes.STALE, causes.REPLAYED))


class Screen:
    """The very first step: nothing else is done for a source that is kept out."""

    __slots__ = ("decide",)

    def __init__(self, access: "Access") -> None:
        self.decide: Callable[[Ask], Decision | None] = access.screen


class Access:
    """Lets pass who is trusted, needs no password or has proved it; refuses the rest."""

    __slots__ = (
        "_domains",
        "_guard",
        "_methods",
        "_neighbour",
        "_nonces",
        "_owners",
        "_proving",
        "_realms",
        "_registered",
        "_rules",
        "_verifier",
    )

    def __init__(
        self,
        site: Site,
        subscribers: Mapping[str, Subscriber],
        domains: Domains,
        nonces: Nonces,
        replays: Replays | None = None,
        bans: Bans | None = None,
        aliases: Mapping[str, str] | None = None,
        gateways: Container[str] = (),
        neighbour: Callable[[Flow], object | None] = lambda _: None,
        on_wire: Callable[[str], str] = str,
        registered: Registered | None = None,
    ) -> None:
        """subscribers: by AoR, as requests name it; aliases: such AoRs to those of their owners.

        gateways: addresses that are never banned. All three are live. neighbour: who sends from where
        a flow leads that needs no password for calls, a gateway. on_wire: gives an AoR of the site the
        form in which requests name it. registered: where an account has phones.
        """
        self._domains = domains
        self._nonces = nonces
        self._rules = Rules(site.access)
        self._neighbour = neighbour
        self._guard = Guard(site.flood, self._rules.spares, Bans() if bans is None else bans, gateways)
        self._registered = registered
        self._guard.registered = self._places_of
        self._owners = Owners(subscribers, {} if aliases is None else aliases, on_wire)
        self._verifier = Verifier(
            subscribers, domains, nonces, Replays() if replays is None else replays, self._guard
        )
        self._realms: dict[str, Realm] = {}
        self._methods: frozenset[str] = frozenset()
        #: Domains where whoever registers proves his password.
        self._proving: frozenset[str] = frozenset()
        self._set_domains(site.domains)

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on. Bans and nonces stay."""
        self._rules = Rules(site.access)
        self._guard.take(site.flood, self._rules.spares)
        self._owners.take()
        self._set_domains(site.domains)

    def _set_domains(self, served: Mapping[str, Domain]) -> None:
        self._realms = {domain.name: Realm(domain) for domain in served.values()}
        self._methods = frozenset(method for domain in served.values() for method in domain.authenticate)
        self._proving = frozenset(one.name for one in served.values() if not one.is_open)

    # What the engine asks.

    def decide(self, ask: Ask) -> Decision | None:
        """Challenge, refuse, or pass with `ask.subscriber` set where one was proved."""
        if not ask.screened:
            refusal = self.screen(ask)
            if refusal is not None:
                return refusal
        if ask.trusted:
            return None
        request = ask.request
        if ask.peer is not None and request.method != "REGISTER":
            # It says who calls; that lets it in, and by routes for its calls alone to anybody else.
            return None
        ask.consumed = trusted_lines(request)
        served = self._domains.find(ask.uri)
        if request.method == "REGISTER" and served is not None:
            return self._ask_registrant(ask, self._realms[served[0].name])
        is_elsewhere = served is None and ask.uri.scheme != "tel" and not self._domains.is_node(ask.uri)
        if not is_elsewhere and request.method not in self._methods:
            return None
        uri = address_uri(request, "from")
        if uri is None or uri.scheme not in CALLERS:
            # Who cannot be read is nobody's caller: a phone would show a served name
            # that no password was asked for.
            return BAD_FROM
        claimed = self._domains.claimed(uri)
        if claimed is None or (request.method not in claimed[0].authenticate and not is_elsewhere):
            return None
        return self._ask_caller(ask, self._realms[claimed[0].name], claimed[1])

    def screen(self, ask: Ask) -> Reply | None:
        """Address rules and flood guard alone: refuse, or pass with `ask.trusted` set where it is so."""
        ask.screened = True
        if ask.trusted:
            return None
        flow = ask.flow
        ask.peer = self._neighbour(flow)
        rules = self._rules
        if rules.any:
            action = rules.find(flow.host, flow.client_names, ask.request.method)
            if action == TRUST:
                ask.trusted = True
                return None
            if action == DENY:
                return REFUSED[causes.ADDRESS_DENIED]
        if ask.peer is not None:
            return None
        cause = self._guard.admit(flow.host, ask.now)
        return REFUSED[cause] if cause else None

    def explain_screen(self, ask: Ask) -> Told:
        """What `screen` would say of a request, and why. ask: made to be explained, for nothing else."""
        return explain_screen(self._parts(), ask)

    def explain(self, ask: Ask) -> Told:
        """What `decide` would say of it, where who the From says proves his password if he has one.

        Neither counted nor challenged: no flood guard, nonce or memory of them is the worse for it.
        """
        return explain_access(self._parts(), ask)

    def _parts(self) -> Parts:
        return Parts(
            self._rules,
            self._guard,
            self._domains,
            self._owners,
            self._verifier,
            self._realms,
            self._methods,
            self._neighbour,
        )

    def trusts(self, flow: Flow, method: str) -> bool:
        """Whether what comes on `flow` may say who somebody is (RFC 3325)."""
        rules = self._rules
        return rules.any and rules.find(flow.host, flow.client_names, method) == TRUST

    def narrow(self) -> bool:
        """The next step of what a change of the site has left to do; whether there are more.

        Among a hundred thousand banned sources those are looked for that are trusted by now.
        """
        return self._guard.narrow()

    # Bans, by hand.

    def bans(self, now: float, after: str = "", most: int = 500) -> list[Ban]:
        """Sources and accounts that are shut out at present, by name: the next ones behind `after`."""
        while self._guard.bans.expire(now):
            pass
        return self._guard.bans.page(after, most)

    def ban(self, name: str, now: float, until: float, why: str) -> None:
        """Shut out a source ("192.0.2.7", "2001:db8::1") or an account (its AoR)."""
        if "@" in name:
            self._guard.bans.add(Ban(ACCOUNT, name, now, until, why), everywhere=False)
        else:
            everywhere = not self._guard.is_shared(name)
            self._guard.bans.add(Ban(SOURCE, source_of(name), now, until, why), everywhere)

    def lift(self, name: str) -> bool:
        """Let in a source or an account, by the name that it is listed by; whether it was banned."""
        return self._guard.bans.lift(name)

    # Passwords.

    def _ask_registrant(self, ask: Ask, realm: Realm) -> Decision | None:
        """The digest of a REGISTER for a served domain (RFC 3261 22.2, 10.3 step 3)."""
        if realm.domain.is_open:
            return None
        cause, aor = self._verifier.verify(ask, realm, "authorization")
        if cause != PROVED:
            return self._challenge(ask, realm, cause, 401)
        # RFC 3261 10.2: From is whoever registers for To, mostly the same. In a third-party
        # registration both have to be his to use.
        to, registrant = address_uri(ask.request, "to"), address_uri(ask.request, "from")
        if not self._owns(to, aor) or (registrant is not to and not self._owns(registrant, aor)):
            return OTHER_USER
        return self._admit(ask, aor)

    def _ask_caller(self, ask: Ask, realm: Realm, claimed: str) -> Decision | None:
        """The digest of whoever says that he is of a served domain (RFC 3261 22.3, 22.1)."""
        cause, aor = self._verifier.verify(ask, realm, "proxy-authorization")
        if cause != PROVED:
            return self._challenge(ask, realm, cause, 407)
        if not self._owners.may_use(aor, claimed):
            return OTHER_USER
        return self._admit(ask, aor)

    def _places_of(self, aor: str, now: float) -> list[str]:
        """Where an account has registered from, if it took its password to do so."""
        if self._registered is None or aor.rpartition("@")[2] not in self._proving:
            return []
        return self._registered(aor, now)

    def recall(self, places: Iterable[tuple[str, str]]) -> None:
        """Contacts that have become known: AoR, and where its REGISTER came from, as bindings have it.

        A node that starts knows by them where phones are at home, before these have come again.
        """
        proving = self._proving
        sources = {text for aor, text in places if aor.rpartition("@")[2] in proving}
        self._guard.recall(filter(None, map(source_of_binding, sources)))

    def _owns(self, uri: Uri | None, aor: str) -> bool:
        claimed = None if uri is None else self._domains.claimed(uri)
        return claimed is not None and self._owners.may_use(aor, claimed[1])

    def _admit(self, ask: Ask, aor: str) -> Decision | None:
        cause = self._guard.admit_account(aor, ask.now)
        if cause:
            return ACCOUNT_REFUSED[cause]
        ask.subscriber = aor
        return None

    def _challenge(self, ask: Ask, realm: Realm, cause: str, status: int) -> Reply:
        if cause == causes.MALFORMED_CREDENTIALS:
            return MALFORMED
        challenge = realm.registrar if status == 401 else realm.proxy
        nonce = self._nonces.make(ask.now, source_of(ask.flow.host))
        return challenge.make(nonce, cause in _ON_NONCE, cause)
