"""An INVITE that goes on with a higher CSeq than it came with, and the dialog that it makes
(RFC 3261 22.2, `Target.cseq_more`)."""

from oneproxy.engine.call import Call, CallEvent
from oneproxy.engine.decisions import Best, Forward, Target
from oneproxy.sip.message import Message, Request
from world import Peer, World, request, response

GATEWAY = "sip:bob@192.0.2.20"
PROOF = ("Proxy-Authorization: Digest proof",)


class Watcher:
    """Keeps the calls that it is told of."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def note(self, _now: float, call: Call, event: CallEvent) -> None:
        if event is CallEvent.ANSWERED:
            self.calls.append(call)


def challenged() -> tuple[World, Peer, Peer, Watcher]:
    """A call whose gateway wants a password, and gets it with CSeq 2: it has the second INVITE."""
    watcher = Watcher()
    world = World(
        Forward([Target(GATEWAY)], watch=watcher),
        Forward([Target(GATEWAY, headers=PROOF, cseq_more=1)], watch=watcher),
        lambda ask: Best(ask.outcomes[-1]),
    )
    caller, gateway = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    gateway.send(response(gateway.take_request("INVITE"), 407, to_tag="x"))
    gateway.take_request("ACK")
    return world, caller, gateway, watcher


def answered() -> tuple[World, Peer, Peer, Watcher, str]:
    world, caller, gateway, watcher = challenged()
    gateway.send(response(gateway.take_request("INVITE"), 200, f"Contact: <{GATEWAY}>", to_tag="b"))
    return world, caller, gateway, watcher, caller.take_response(200).all("record-route")[-1]


def cseq(message: Message) -> str | None:
    return message.get("cseq")


def inside(method: str, route: str, number: int, *more: str) -> bytes:
    lines = (f"Route: {route}", *more)
    return request(method, GATEWAY, *lines, branch=f"z9hG4bK{number}{method}", cseq=number, to_tag="b")


def test_the_gateway_gets_the_higher_number_and_the_caller_his_own() -> None:
    _world, caller, gateway, _ = challenged()
    invite = gateway.take_request("INVITE")
    assert cseq(invite) == "2 INVITE"
    assert invite.get("proxy-authorization") == "Digest proof"
    gateway.send(response(invite, 180, to_tag="b"))
    gateway.send(response(invite, 486, to_tag="b"))
    assert cseq(gateway.take_request("ACK")) == "2 ACK"
    assert [cseq(caller.take_response(status)) for status in (180, 486)] == ["1 INVITE", "1 INVITE"]


def test_the_answer_that_policy_names_goes_back_though_another_one_ranks_higher() -> None:
    """RFC 3261 16.7 step 6 would take the 407, which is between the gateway and us."""
    _world, caller, gateway, _ = challenged()
    gateway.send(response(gateway.take_request("INVITE"), 503, to_tag="b"))
    assert caller.take_response(503).get("cseq") == "1 INVITE"


def test_a_cancel_has_the_number_of_its_invite() -> None:
    _world, caller, gateway, _ = challenged()
    gateway.send(response(gateway.take_request("INVITE"), 180, to_tag="b"))
    caller.send(request("CANCEL"))
    assert cseq(gateway.take_request("CANCEL")) == "2 CANCEL"


def test_all_of_the_callers_requests_of_the_dialog_count_on() -> None:
    _world, caller, gateway, _, route = answered()
    caller.send(inside("ACK", route, 1))
    assert cseq(gateway.take_request("ACK")) == "2 ACK"
    caller.send(inside("BYE", route, 2))
    bye = gateway.take_request("BYE")
    assert cseq(bye) == "3 BYE"
    gateway.send(response(bye, 200))
    assert cseq(caller.take_response(200)) == "2 BYE"


def test_a_prack_names_the_invite_as_the_gateway_knows_it() -> None:
    _world, caller, gateway, _ = challenged()
    ringing = response(gateway.take_request("INVITE"), 180, f"Contact: <{GATEWAY}>", to_tag="b")
    gateway.send(ringing)
    route = caller.take_response(180).all("record-route")[-1]
    caller.send(inside("PRACK", route, 2, "RAck: 776 1 INVITE"))
    prack = gateway.take_request("PRACK")
    assert (cseq(prack), prack.get("rack")) == ("3 PRACK", "776 2 INVITE")


def test_what_the_callee_sends_keeps_its_number() -> None:
    _world, caller, gateway, _ = challenged()
    invite = gateway.take_request("INVITE")
    gateway.send(response(invite, 200, f"Contact: <{GATEWAY}>", to_tag="b"))
    caller.take_response(200)
    route = invite.all("record-route")[0]
    bye = request(
        "BYE", "sip:alice@192.0.2.10", f"Route: {route}", branch="z9hG4bKb", cseq=7, from_tag="b", to_tag="a"
    )
    gateway.send(bye)
    got = caller.take_request("BYE")
    assert cseq(got) == "7 BYE"
    caller.send(response(got, 200))
    assert cseq(gateway.take_response(200)) == "7 BYE"


def test_a_bye_from_the_side_is_above_what_the_gateway_has_seen() -> None:
    world, caller, gateway, watcher, route = answered()
    caller.send(inside("INFO", route, 2))
    assert cseq(gateway.take_request("INFO")) == "3 INFO"
    world.engine.end(world.now, watcher.calls[0])
    world.deliver()
    bye = gateway.take()
    assert isinstance(bye, Request)
    assert cseq(bye) == "4 BYE"


def test_the_next_gateway_gets_the_callers_number() -> None:
    watcher = Watcher()
    world = World(
        Forward([Target(GATEWAY)], watch=watcher),
        Forward([Target(GATEWAY, headers=PROOF, cseq_more=1)], watch=watcher),
        Forward([Target("sip:bob@192.0.2.30")], watch=watcher),
    )
    caller, gateway, other = (world.peer(f"192.0.2.{host}") for host in (10, 20, 30))
    caller.send(request("INVITE"))
    for status in (407, 503):
        gateway.send(response(gateway.take_request("INVITE"), status, to_tag="x"))
        gateway.take_request("ACK")
    invite = other.take_request("INVITE")
    assert cseq(invite) == "1 INVITE"
    other.send(response(invite, 200, "Contact: <sip:bob@192.0.2.30>", to_tag="b"))
    world.engine.end(world.now, watcher.calls[0])
    world.deliver()
    assert cseq(other.take_request("BYE")) == "2 BYE"
