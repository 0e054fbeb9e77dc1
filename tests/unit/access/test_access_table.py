"""Every address rule with every method and every state of the digest: the answer, and the cause.

What is expected stands in two tables: what a rule does, and what a digest is worth where it is
asked for.
"""

from itertools import product

import pytest

from asking import NOW, ask_of, credentials, request_of, subscriber
from oneproxy.access.nonces import LIFETIME_S, Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Ask, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Rule, Site

HOST, CLIENT = "192.0.2.7", "gw.example.com"
METHODS = ("REGISTER", "INVITE", "MESSAGE", "OPTIONS")
#: Those that the domain asks a password for.
AUTHENTICATED = ("REGISTER", "INVITE", "MESSAGE")
RULES = ("none", "trust", "allow", "deny")
NETWORKS = {"none": "", "network": "192.0.2.0/24", "client": CLIENT}

#: What becomes of each state of the digest: status, cause, and whether it is said to be stale.
DIGESTS = {
    "none": (401, "no-credentials", False),
    "good": (0, "", False),
    "wrong": (401, "wrong-password", False),
    "unknown user": (401, "unknown-user", False),
    "stale": (401, "stale", True),
    "forged nonce": (401, "stale", True),
    "stale and wrong": (401, "wrong-password", False),
    "replayed": (401, "replayed", True),
    "other algorithm": (401, "other-algorithm", False),
    "other realm": (401, "other-realm", False),
    "other user's From": (403, "other-user", False),
    "malformed": (400, "malformed-credentials", False),
}


def access(rule: str, by: str) -> Access:
    domain = Domain("example.com", AUTHENTICATED, ("SHA-256", "SHA-512-256"))
    source, client = (NETWORKS[by], "") if by == "network" else ("", NETWORKS[by])
    rules = () if rule == "none" else (Rule(source, client, rule),)
    users = {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")}
    site = Site({"example.com": domain}, users, access=rules)
    return Access(site, users, Domains(site.domains, {"192.0.2.1"}), Nonces(b"farm"))


def ask(method: str, by: str, header: str = "", now: float = NOW, sender: str = "alice") -> Ask:
    uri = "sip:example.com" if method == "REGISTER" else "sip:bob@example.com"
    to = f"<sip:{sender if method == 'REGISTER' else 'bob'}@example.com>"
    request = request_of(
        method, uri, *([header] if header else []), sender=f"<sip:{sender}@example.com>", to=to
    )
    flow = Flow(Listener("TLS", "192.0.2.1", 5061), HOST, 5062, "tls/1")
    flow.client_names = (CLIENT,) if by == "client" else ()
    return ask_of(request, now, flow)


def asked(step: Access, method: str, by: str, digest: str) -> tuple[Ask, Reply | None]:
    """The request in this state, and what the step says to it."""
    uri = ask(method, by).request.uri
    name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    nonces = Nonces(b"other farm") if digest == "forged nonce" else step._nonces
    how = {
        "wrong": {"password": "guess"},
        "stale and wrong": {"password": "guess"},
        "unknown user": {"user": "nobody"},
        "other algorithm": {"algorithm": "MD5"},
        "other realm": {"realm": "elsewhere.org"},
    }.get(digest, {})
    value = credentials(nonces.make(NOW, HOST), method, uri, **how)
    if digest == "malformed":
        value = value.replace("nonce=", "n=")
    header = "" if digest == "none" else f"{name}: {value}"
    now = NOW + LIFETIME_S if digest.startswith("stale") else NOW
    sender = "bob" if digest == "other user's From" else "alice"
    if digest == "replayed":
        assert step.decide(ask(method, by, header, now, sender)) is None
    made = ask(method, by, header, now, sender)
    decision = step.decide(made)
    assert decision is None or isinstance(decision, Reply)
    return made, decision


COMBINATIONS = [
    one
    for one in product(RULES, NETWORKS, METHODS, DIGESTS)
    if (one[0] == "none") == (one[1] == "none")
    # Where no digest is asked for none can be spent.
    and not (one[3] == "replayed" and (one[0] == "deny"))
]


@pytest.mark.parametrize(("rule", "by", "method", "digest"), COMBINATIONS)
def test_rule_method_and_digest_decide(rule: str, by: str, method: str, digest: str) -> None:
    made, decision = asked(access(rule, by), method, by, digest)
    if rule == "deny":
        assert decision is not None
        shown = (decision.status, decision.reason, decision.headers, decision.stateless, decision.cause)
        assert shown == (403, "Forbidden", (), True, "address-denied")
        return
    assert made.trusted is (rule == "trust")
    if rule == "trust" or method not in AUTHENTICATED:
        assert decision is None
        assert made.subscriber is None
        return
    status, cause, stale = DIGESTS[digest]
    if status == 401 and method != "REGISTER":
        status = 407
    if status == 0:
        assert decision is None
        assert made.subscriber == "alice@example.com"
        return
    assert decision is not None
    assert (decision.status, decision.cause) == (status, cause)
    assert made.subscriber is None
    header = "WWW-Authenticate: " if method == "REGISTER" else "Proxy-Authenticate: "
    challenges = status in (401, 407)
    assert len(decision.headers) == (2 if challenges else 0)
    for line, algorithm in zip(decision.headers, ("SHA-256", "SHA-512-256"), strict=False):
        assert line.startswith(header + 'Digest realm="example.com"')
        assert f"algorithm={algorithm}," in line
        assert ("stale=true" in line) is stale


@pytest.mark.parametrize("digest", [name for name, (status, _, _) in DIGESTS.items() if status == 401])
def test_no_cause_can_be_told_from_the_answer_but_that_a_nonce_was_used_up(digest: str) -> None:
    _, decision = asked(access("none", "none"), "INVITE", "none", digest)
    _, first = asked(access("none", "none"), "INVITE", "none", "none")
    assert decision is not None
    assert first is not None

    def without_nonce(reply: Reply) -> list[str]:
        return [line.partition('nonce="')[0] + line.partition('", alg')[2] for line in reply.headers]

    assert (decision.status, decision.reason) == (first.status, first.reason)
    end = ", stale=true" if DIGESTS[digest][2] else ""
    assert without_nonce(decision) == [f"{line}{end}" for line in without_nonce(first)]
