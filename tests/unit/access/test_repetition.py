"""Requests that are sent again, through engine and policy together: what is proved is proved once,
and a repetition of it is answered and not judged (RFC 3261 17.2)."""

import pytest

from asking import credentials, subscriber
from oneproxy.access.step import Access
from oneproxy.policy.build import build
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Site
from world import PROXY, START, Peer, World, request, response

CALLER, CALLEE = "192.0.2.10", "192.0.2.20"


class Node(World):
    """An engine with the policy of a node, whose database commits when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        users = {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")}
        site = Site({"example.com": Domain("example.com", algorithms=("MD5",))}, users)
        location = Location(10)
        location.load(
            [("bob@example.com", Binding(f"sip:bob@{CALLEE}", START + 3600, 1000, "c", 1, "", START))]
        )
        self.saving: list[object] = []
        self.policy = build(site, b"farm", {PROXY, f"{PROXY}:5060"}, location, self.save, lambda *_: None)
        self.engine._policy = self.policy
        self.engine.trust.on_refused = lambda _ask, cause: self.causes.append(cause)
        self.causes: list[str] = []

    def save(self, change: Change, done: object) -> bool:
        self.saving.append(done)
        return True


def proof(challenge: bytes, method: str, uri: str) -> str:
    """The header that meets a challenge."""
    text = challenge.decode("latin-1")
    nonce = text.partition('nonce="')[2].partition('"')[0]
    name = "Authorization" if "\r\nWWW" in text else "Proxy-Authorization"
    return f"{name}: {credentials(nonce, method, uri, algorithm='MD5')}"


def challenged(node: Node, caller: Peer, method: str, uri: str, *headers: str) -> str:
    """Send it without credentials, twice, as over a network that lost the answer."""
    data = request(method, uri, *headers)
    caller.send(data)
    caller.send(data)
    first, again = caller.inbox.popleft(), caller.inbox.popleft()
    status = b"SIP/2.0 401 " if method == "REGISTER" else b"SIP/2.0 407 "
    assert first.startswith(status)
    assert again.startswith(status)
    assert node.engine.sizes() == {"servers": 0, "clients": 0}
    return proof(first, method, uri)


def test_an_invite_that_is_challenged_and_repeated_at_every_step_is_one_call() -> None:
    node = Node()
    caller, callee = node.peer(CALLER), node.peer(CALLEE)
    uri = "sip:bob@example.com"
    header = challenged(node, caller, "INVITE", uri)
    # The ACK for a challenge that nobody remembers is dropped.
    caller.send(request("ACK", uri))
    assert caller.has_nothing
    data = request("INVITE", uri, header, branch="z9hG4bK2", cseq=2)
    for _ in range(3):
        caller.send(data)
    node.wait(0.2)
    caller.send(data)
    assert callee.take_all() == [f"INVITE sip:bob@{CALLEE} SIP/2.0"]
    assert set(caller.take_all()) == {"SIP/2.0 100 Trying"}
    assert node.causes == ["no-credentials"] * 2


def test_an_invite_that_is_refused_after_its_proof_is_refused_the_same_way_again() -> None:
    node = Node()
    caller = node.peer(CALLER)
    uri = "sip:nobody@example.com"
    header = challenged(node, caller, "INVITE", uri)
    data = request("INVITE", uri, header, branch="z9hG4bK2", cseq=2)
    caller.send(data)
    caller.send(data)
    assert caller.take_all() == ["SIP/2.0 404 Not Found"] * 2
    assert "replayed" not in node.causes


def test_a_register_that_is_repeated_while_it_is_written_is_no_replay() -> None:
    node = Node()
    caller = node.peer(CALLER)
    contact = f"Contact: <sip:alice@{CALLER}>"
    uri = "sip:example.com"
    data = request("REGISTER", uri, contact)
    data = data.replace(b"To: <sip:bob@example.com>", b"To: <sip:alice@example.com>")
    caller.send(data)
    header = proof(caller.inbox.popleft(), "REGISTER", uri)
    data = request("REGISTER", uri, contact, header, branch="z9hG4bK2", cseq=2)
    data = data.replace(b"To: <sip:bob@example.com>", b"To: <sip:alice@example.com>")
    for _ in range(3):
        caller.send(data)
    assert len(node.saving) == 1
    assert caller.has_nothing
    assert node.causes == ["no-credentials"]


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_the_same_proof_in_a_new_request_is_a_replay(method: str) -> None:
    node = Node()
    thief, caller = node.peer("203.0.113.9"), node.peer(CALLER)
    uri = "sip:example.com" if method == "REGISTER" else "sip:bob@example.com"

    def sent(peer: Peer, branch: str, *headers: str) -> bytes:
        data = request(method, uri, *headers, branch=branch, via=peer.flow.host)
        if method == "REGISTER":
            data = data.replace(b"To: <sip:bob@", b"To: <sip:alice@")
        peer.send(data)
        return peer.inbox.popleft() if peer.inbox else b""

    header = proof(sent(caller, "z9hG4bK1"), method, uri)
    sent(caller, "z9hG4bK2", header)
    stolen = sent(thief, "z9hG4bK3", header)
    assert b", stale=true\r\n" in stolen
    assert node.causes == ["no-credentials", "replayed"]
    # The rightful owner, whose phone uses it twice, is let in by the fresh nonce that it gets.
    renewed = proof(sent(caller, "z9hG4bK4", header), method, uri)
    assert b"SIP/2.0 40" not in sent(caller, "z9hG4bK5", renewed)
    assert node.causes == ["no-credentials", "replayed", "replayed"]


def test_a_client_of_rfc_2069_has_its_nonce_for_one_request() -> None:
    node = Node()
    caller = node.peer(CALLER)
    caller.send(request("INVITE"))
    nonce = caller.inbox.popleft().decode("latin-1").partition('nonce="')[2].partition('"')[0]
    value = credentials(nonce, "INVITE", "sip:bob@example.com", algorithm="MD5", qop=None)
    for branch in ("z9hG4bK2", "z9hG4bK3"):
        caller.send(request("INVITE", "sip:bob@example.com", f"Proxy-Authorization: {value}", branch=branch))
    assert node.causes == ["no-credentials", "replayed"]
    assert len(node.peer(CALLEE).take_all()) == 1


def test_a_client_that_counts_uses_its_nonce_again_and_again() -> None:
    node = Node()
    caller = node.peer(CALLER)
    caller.send(request("INVITE"))
    nonce = caller.inbox.popleft().decode("latin-1").partition('nonce="')[2].partition('"')[0]
    for count in (1, 3, 2, 4):
        value = credentials(nonce, "INVITE", "sip:bob@example.com", algorithm="MD5", nc=f"{count:08x}")
        caller.send(
            request(
                "INVITE", "sip:bob@example.com", f"Proxy-Authorization: {value}", branch=f"z9hG4bKn{count}"
            )
        )
    assert node.causes == ["no-credentials"]
    assert len(node.peer(CALLEE).take_all()) == 4


def test_the_steps_have_one_access_step_that_screens() -> None:
    node = Node()
    steps = [step for step in node.policy.steps if isinstance(step, Access)]
    assert len(steps) == 1
    assert steps[0].trusts(node.flow(CALLER, 5060), "INVITE") is False


def test_an_identity_is_not_passed_on_by_who_is_not_trusted() -> None:
    node = Node()
    caller, callee = node.peer(CALLER), node.peer(CALLEE)
    caller.send(request("INVITE"))
    header = proof(caller.inbox.popleft(), "INVITE", "sip:bob@example.com")
    asserted = "P-Asserted-Identity: <sip:boss@example.com>"
    caller.send(request("INVITE", "sip:bob@example.com", header, asserted, branch="z9hG4bK2"))
    invite = callee.take_request("INVITE")
    assert asserted not in invite.lines
    assert header not in invite.lines
    callee.send(response(invite, 200, to_tag="b"))
    assert caller.take_response(200).status == 200
