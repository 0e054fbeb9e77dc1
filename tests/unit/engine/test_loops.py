"""Loops, spirals, and how widely a request may be spread (RFC 3261 16.3 step 4, RFC 5393)."""

import pytest

from oneproxy.engine.breadth import available, divide
from oneproxy.engine.decisions import Ask, Decision, Forward, Target
from oneproxy.engine.loops import later_vias
from oneproxy.sip.message import Request, split
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


def sent_back(invite: Request, uri: str, branch: str = "z9hG4bKback", via: str = "192.0.2.20") -> bytes:
    """`invite`, as another proxy that got it would send it to us."""
    lines = [f"INVITE {uri} SIP/2.0", f"Via: SIP/2.0/UDP {via};branch={branch}"]
    kept = [line for line in invite.lines[1:] if not line.startswith(("Record-Route", "Route"))]
    return "\r\n".join([*lines, *kept, "", ""]).encode()


def test_a_request_that_comes_back_as_it_was_is_a_loop() -> None:
    world = World(BOB)
    other = world.peer("192.0.2.20")
    world.peer("192.0.2.10").send(request("INVITE"))
    # From there it might have to go another way, so it may come once.
    other.send(sent_back(other.take_request("INVITE"), "sip:bob@example.com"))
    other.send(sent_back(other.take_request("INVITE"), "sip:bob@example.com", branch="z9hG4bKagain"))
    assert other.take_all() == ["SIP/2.0 482 Loop Detected"]
    assert len(world.asked) == 2
    assert world.engine.counters.dropped["482"] == 1


def test_a_request_that_comes_back_for_somebody_else_is_a_spiral() -> None:
    world = World(BOB, Forward([Target("sip:carol@192.0.2.30")]))
    other = world.peer("192.0.2.20")
    world.peer("192.0.2.10").send(request("INVITE"))
    other.send(sent_back(other.take_request("INVITE"), "sip:carol@example.com"))
    world.peer("192.0.2.30").take_request("INVITE")


def test_a_loop_through_two_others_is_found_too() -> None:
    world = World(BOB)
    other, third = world.peer("192.0.2.20"), world.peer("192.0.2.21")
    world.peer("192.0.2.10").send(request("INVITE"))
    for at in range(2):
        data = sent_back(other.take_request("INVITE"), "sip:bob@example.com", f"z9hG4bKo{at}")
        head, _, rest = data.partition(b"\r\n")
        third.send(head + b"\r\nVia: SIP/2.0/UDP 192.0.2.21;branch=z9hG4bKt%d\r\n" % at + rest)
    third.take_response(482)


def test_vias_in_one_line_are_looked_at_as_well() -> None:
    world = World(BOB)
    caller, other = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = other.take_request("INVITE")
    vias = ", ".join(["SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKback", *invite.all("via")])
    kept = [line for line in invite.lines[1:] if not line.startswith(("Record-Route", "Via"))]
    lines = ["INVITE sip:bob@example.com SIP/2.0", f"Via: {vias}", *kept, "", ""]
    caller.send("\r\n".join(lines).encode())
    caller.take_response(482)


def test_an_application_server_may_send_a_call_back_as_it_was() -> None:
    def decide(ask: Ask) -> Decision:
        if ask.flow.host == "192.0.2.20":
            return Forward([Target("sip:bob@192.0.2.30")])
        return Forward([Target("sip:bob@example.com", route=("<sip:192.0.2.20;lr>",))])

    world = World(decide)
    server = world.peer("192.0.2.20")
    world.peer("192.0.2.10").send(request("INVITE"))
    server.send(sent_back(server.take_request("INVITE"), "sip:bob@example.com"))
    world.peer("192.0.2.30").take_request("INVITE")


def test_a_thousand_vias_are_not_all_read() -> None:
    assert len(list(later_vias(read(request("INVITE", "sip:b@c", "Via: " + ",".join(["x"] * 5000)))))) == 70


def read(data: bytes) -> Request:
    message = split(data)
    assert isinstance(message, Request)
    return message


def test_the_same_request_over_two_ways_of_another_proxy_is_no_loop() -> None:
    world = World(BOB)
    one, two = world.peer("192.0.2.10"), world.peer("192.0.2.11")
    for at, peer in enumerate((one, two)):
        vias = f"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKup{at}"
        peer.send(request("INVITE", "sip:bob@example.com", vias, via=f"192.0.2.1{at}", branch=f"z9hG4bK{at}"))
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"] * 2


# Max-Breadth.


def spread(world: World) -> list[str | None]:
    """The Max-Breadth of each INVITE that went out."""
    found = []
    for (_, host, _), peer in list(world.peers.items()):
        if host.startswith("192.0.2.2") and peer.inbox:
            found.append(peer.take_request("INVITE").get("max-breadth"))
    return found


def targets(count: int) -> list[Target]:
    return [Target(f"sip:bob@192.0.2.2{at}") for at in range(count)]


@pytest.mark.parametrize(
    ("count", "lines", "written"),
    [
        (1, (), [None]),
        (2, (), ["30", "30"]),
        (1, ("Max-Breadth: 7",), ["7"]),
        (3, ("Max-Breadth: 7",), ["3", "2", "2"]),
        (2, ("Max-Breadth: 1",), ["1"]),
        (1, ("Max-Breadth: 900",), ["60"]),
        (2, ("Max-Breadth: many",), ["30", "30"]),
    ],
)
def test_a_fork_divides_the_breadth(count: int, lines: tuple[str, ...], written: list[str | None]) -> None:
    world = World(Forward(targets(count)))
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", *lines))
    assert spread(world) == written


def test_without_breadth_a_request_goes_nowhere() -> None:
    world = World(Forward(targets(1)))
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", "Max-Breadth: 0"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 440 Max-Breadth Exceeded"]
    assert [(one.status, one.error) for one in world.asked[-1].outcomes] == [(440, "breadth")]


def test_branches_one_after_the_other_need_no_breadth() -> None:
    world = World(Forward(targets(1)), Forward([Target("sip:bob@192.0.2.25")]))
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", "Max-Breadth: 1"))
    first = world.peer("192.0.2.20")
    first.send(response(first.take_request("INVITE"), 404, to_tag="x"))
    assert world.peer("192.0.2.25").take_request("INVITE").get("max-breadth") == "1"


def test_what_a_redirected_branch_had_is_divided_among_its_contacts() -> None:
    world = World(Forward(targets(2), recurse=1))
    caller, first = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", "Max-Breadth: 5"))
    contacts = "Contact: <sip:bob@192.0.2.25>, <sip:bob@192.0.2.26>"
    first.send(response(first.take_request("INVITE"), 302, contacts, to_tag="x"))
    first.take_request("ACK")
    assert spread(world) == ["2", "2", "1"]


def test_breadth_is_divided_to_the_last_one() -> None:
    message = split(request("INVITE", "sip:bob@example.com", "Max-Breadth: 3"))
    assert isinstance(message, Request)
    assert available(message) == 3
    assert divide(3, 2) == [2, 1]
    assert divide(1, 3) == [1, 0, 0]
