"""Many calls at once through a gateway that asks for a password: each is challenged for itself."""

from oneproxy.site.model import Registration, Route
from routed import CALLER, Routed, dial, gateway, provider, site
from world import response

NUMBER = "+351912345678"
ACCOUNT = Registration("sip:me@carrier", "me", "secret")


def asking() -> Routed:
    return Routed(site((provider("p", gateway("g0", register=ACCOUNT)),), (Route("+351", provider="p"),)))


def challenge(nonce: str) -> str:
    return f'Proxy-Authenticate: Digest realm="carrier", nonce="{nonce}", qop="auth", algorithm=MD5'


def call(world: Routed, number: int) -> None:
    world.peer(CALLER).send(dial(NUMBER, branch=f"z9hG4bK{number}", call_id=f"call-{number}"))


def test_calls_that_are_challenged_at_once_prove_the_password_each() -> None:
    """None was refused: each gets a nonce of its own, and none has answered another's."""
    world = asking()
    peer = world.peer("192.0.2.20")
    for number in range(6):
        call(world, number)
    invites = [peer.take_request("INVITE") for _ in range(6)]
    for number, invite in enumerate(invites):
        peer.send(response(invite, 407, challenge(f"n{number}"), to_tag="x"))
        peer.take_request("ACK")
        proof = peer.take_request("INVITE")
        assert proof.get("call-id") == f"call-{number}"
        assert f'nonce="n{number}"' in (proof.get("proxy-authorization") or "")
    assert world.calls("p", "g0") == 6
    assert world.state("p", "g0").judged == 0


def test_a_nonce_of_another_call_that_is_not_taken_is_no_wrong_password() -> None:
    """A gateway may give each call a nonce that is good for that one alone."""
    world = asking()
    peer = world.peer("192.0.2.20")
    call(world, 1)
    peer.send(response(peer.take_request("INVITE"), 407, challenge("n1"), to_tag="x"))
    peer.take_request("ACK")
    peer.take_request("INVITE")
    call(world, 2)
    hopeful = peer.take_request("INVITE")
    assert 'nonce="n1"' in (hopeful.get("proxy-authorization") or "")
    peer.send(response(hopeful, 407, challenge("n2"), to_tag="x"))
    peer.take_request("ACK")
    assert 'nonce="n2"' in (peer.take_request("INVITE").get("proxy-authorization") or "")


def test_a_password_that_is_wrong_is_known_as_such_however_many_calls_there_are() -> None:
    world = asking()
    peer = world.peer("192.0.2.20")
    call(world, 1)
    call(world, 2)
    invites = [peer.take_request("INVITE") for _ in range(2)]
    proofs = []
    for number, invite in enumerate(invites):
        peer.send(response(invite, 407, challenge(f"n{number}"), to_tag="x"))
        peer.take_request("ACK")
        proofs.append(peer.take_request("INVITE"))
    world.peer(CALLER).take_all()
    for number, proof in enumerate(proofs):
        peer.send(response(proof, 407, challenge(f"m{number}"), to_tag="x"))
        peer.take_request("ACK")
        world.peer(CALLER).take_response(500)
    assert peer.has_nothing
    assert world.calls("p", "g0") == 0
