"""Requests of a dialog whose other side gave a GRUU as its Contact (RFC 5627 4.4, 6.1)."""

import pytest

from oneproxy.engine.decisions import PENDING, Ask, Decision, Forward, Reply, Target
from world import World, request, response

GRUU = "sip:bob@example.com;gr=urn:uuid:1"
BOB = Forward([Target("sip:bob@192.0.2.20")])


class Called(World):
    """A world in which alice's call to bob stands, and policy knows where his GRUU leads."""

    def __init__(self, *targets: Target) -> None:
        super().__init__(BOB)
        self.gruus: list[str] = []
        caller, callee = self.peer("192.0.2.10"), self.peer("192.0.2.20")
        caller.send(request("INVITE"))
        callee.send(response(callee.take_request("INVITE"), 200, f"Contact: <{GRUU}>", to_tag="b"))
        self.route = caller.take_response(200).get("record-route") or ""
        self.answer: Decision = Forward(list(targets)) if targets else Reply(480, "Temporarily Unavailable")
        self.place = self.place_gruu

    def place_gruu(self, ask: Ask) -> Decision:
        self.gruus.append(ask.uri.text)
        self.waiting = ask
        return self.answer

    def send(self, method: str, uri: str = GRUU, route: str = "", branch: str = "z9hG4bK9") -> None:
        lines = [f"Route: {self.route}", *([f"Route: {route}"] if route else [])]
        cseq = 1 if method == "ACK" else 2
        data = request(method, uri, *lines, branch=branch, cseq=cseq, from_tag="a", to_tag="b")
        self.peer("192.0.2.10").send(data)


@pytest.mark.parametrize("method", ["ACK", "BYE", "INVITE"])
def test_a_request_for_a_gruu_goes_where_its_instance_is(method: str) -> None:
    world = Called(Target("sip:bob@192.0.2.77:5070"))
    world.send(method)
    arrived = world.peer("192.0.2.77", 5070).take_request(method)
    assert (arrived.uri, arrived.all("route")) == ("sip:bob@192.0.2.77:5070", [])
    assert world.gruus == [GRUU]
    assert len(world.asked) == 1


@pytest.mark.parametrize("method", ["ACK", "BYE"])
def test_it_goes_by_the_path_or_the_flow_of_the_instance(method: str) -> None:
    world = Called(Target("sip:bob@192.168.1.5", ("<sip:192.0.2.88;lr>",)))
    world.send(method)
    arrived = world.peer("192.0.2.88").take_request(method)
    assert (arrived.uri, arrived.all("route")) == ("sip:bob@192.168.1.5", ["<sip:192.0.2.88;lr>"])
    world.answer = Forward([Target("sip:bob@192.168.1.5", (), world.flow("192.0.2.99", 40_000))])
    world.send(method, branch="z9hG4bK10")
    assert world.peer("192.0.2.99", 40_000).take_request(method).uri == "sip:bob@192.168.1.5"


def test_an_instance_that_is_gone_is_unavailable_and_its_ack_goes_nowhere() -> None:
    world = Called()
    world.send("BYE")
    world.peer("192.0.2.10").take_response(480)
    world.send("ACK", branch="z9hG4bK10")
    assert world.peer("192.0.2.10").has_nothing
    assert world.peer("192.0.2.20").has_nothing


def test_a_gruu_of_another_domain_and_a_contact_like_one_are_no_business_of_ours() -> None:
    world = Called(Target("sip:bob@192.0.2.77"))
    for branch, uri in enumerate(
        ("sip:bob@192.0.2.20;gr=1", "sip:bob@192.0.2.20;great=1", "sip:bob@192.0.2.20")
    ):
        world.send("BYE", uri, branch=f"z9hG4bK{branch}x")
        assert world.peer("192.0.2.20").take_request("BYE").uri == uri
    assert world.gruus == []


def test_proxies_behind_us_on_the_route_come_first() -> None:
    world = Called(Target("sip:bob@192.0.2.77"))
    world.send("BYE", route="<sip:192.0.2.66;lr>")
    assert world.peer("192.0.2.66").take_request("BYE").uri == GRUU
    assert world.gruus == []


def test_an_instance_that_falls_back_on_another_flow_does_so_inside_of_a_dialog_too() -> None:
    world = Called()
    other = Target("sip:bob@192.168.1.5", (), world.flow("192.0.2.98", 5060))
    world.answer = Forward([Target("sip:bob@192.168.1.5", (), world.flow("192.0.2.99", 5060), instead=other)])
    world.send("BYE")
    edge = world.peer("192.0.2.99")
    edge.send(response(edge.take_request("BYE"), 430))
    world.peer("192.0.2.98").take_request("BYE")


def test_who_is_not_known_yet_is_waited_for() -> None:
    world = Called()
    world.answer = PENDING
    world.send("BYE")
    caller = world.peer("192.0.2.10")
    assert caller.has_nothing
    world.engine.answer(world.now, world.waiting, Forward([Target("sip:bob@192.0.2.77")]))
    world.deliver()
    phone = world.peer("192.0.2.77")
    bye = phone.take_request("BYE")
    assert (bye.uri, bye.all("route")) == ("sip:bob@192.0.2.77", [])
    phone.send(response(bye, 200))
    caller.take_response(200)
    assert len(world.asked) == 1


@pytest.mark.parametrize(("late", "status"), [(Reply(480, "Gone"), 480), (Reply(503, "Unknown"), 503)])
def test_what_is_decided_late_is_answered(late: Reply, status: int) -> None:
    world = Called()
    world.answer = PENDING
    world.send("BYE")
    world.engine.answer(world.now, world.waiting, late)
    world.deliver()
    world.peer("192.0.2.10").take_response(status)


def test_nobody_waits_for_ever() -> None:
    world = Called()
    world.answer = PENDING
    world.send("BYE")
    world.wait(10)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying", "SIP/2.0 503 Service Unavailable"]


def test_an_ack_that_would_have_to_wait_is_left_to_its_repetition() -> None:
    world = Called()
    world.answer = PENDING
    world.send("ACK")
    world.engine.answer(world.now, world.waiting, Forward([Target("sip:bob@192.0.2.77")]))
    world.deliver()
    assert all(peer.has_nothing for peer in world.peers.values())
    world.answer = Forward([Target("sip:bob@192.0.2.77")])
    world.send("ACK", branch="z9hG4bK10")
    world.peer("192.0.2.77").take_request("ACK")
