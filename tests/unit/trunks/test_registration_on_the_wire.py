"""A registration through the engine: what a registrar gets, and what comes of its answers."""

from random import Random

from oneproxy.engine.decisions import Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.sip.check import check
from oneproxy.sip.message import Request
from oneproxy.trunks.registration import Account, Register, Registration
from oneproxy.trunks.registration_states import State
from world import World, response

ACCOUNT = Account(
    "sip:me@carrier.example", "sip:192.0.2.30:5070", "sip:me@192.0.2.1:5060", "me", "secret", 600
)


class Driver:
    """What a node has to do for it: send, tell what came of it, and come back in time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.one = Registration(ACCOUNT, "c1", Random(1))
        self.peer = world.peer("192.0.2.30", 5070)

    def send(self, register: Register | None) -> None:
        if register is None:
            return
        uri, towards, from_, to, call_id, cseq, headers = register
        own = OwnRequest("REGISTER", uri, towards, from_, to, call_id, cseq, headers, (), "", 70, "")
        self.world.engine.originate(self.world.now, own, self.answered)
        self.world.deliver()

    def answered(self, now: float, result: Result) -> None:
        self.send(self.one.answered(now, result))

    def go_on(self) -> None:
        at = self.one.deadline()
        assert at is not None
        self.world.wait(max(0.0, at - self.world.now) + 0.001)
        self.send(self.one.expire(self.world.now))

    def take(self) -> Request:
        request = self.peer.take_request("REGISTER")
        assert check(request) is None
        return request


def test_it_registers_by_digest_refreshes_and_goes() -> None:
    world = World()
    driver = Driver(world)
    driver.one.start(world.now, 10.0)
    driver.go_on()
    first = driver.take()
    assert (first.uri, first.get("to")) == ("sip:carrier.example", "<sip:me@carrier.example>")
    challenge = 'WWW-Authenticate: Digest realm="carrier", nonce="n1", algorithm=SHA-256, qop="auth"'
    driver.peer.send(response(first, 401, challenge))
    second = driver.take()
    assert 'nonce="n1"' in (second.get("authorization") or "")
    assert (second.call_id, second.cseq, second.from_tag) == (first.call_id, first.cseq + 1, first.from_tag)
    driver.peer.send(response(second, 200, "Contact: <sip:me@192.0.2.1:5060>;expires=300"))
    assert driver.one.is_registered(world.now + 299)
    driver.go_on()
    refresh = driver.take()
    assert "nc=00000002" in (refresh.get("authorization") or "")
    driver.peer.send(response(refresh, 200))
    driver.send(driver.one.stop(world.now))
    last = driver.take()
    assert (last.get("expires"), last.get("contact")) == ("0", "<sip:me@192.0.2.1:5060>")
    driver.peer.send(response(last, 200))
    assert driver.one.state is State.STOPPED
    assert driver.peer.has_nothing


def test_a_registrar_that_does_not_answer_is_asked_again() -> None:
    world = World()
    driver = Driver(world)
    driver.one.start(world.now)
    driver.go_on()
    world.wait(40)
    standing = driver.one.standing()
    assert (standing.state, standing.status, standing.error) == (State.WAITING, 408, "timeout")
    driver.peer.take_all()
    driver.go_on()
    again = driver.take()
    driver.peer.send(response(again, 200, "Expires: 60"))
    assert driver.one.is_registered(world.now)


def test_it_follows_to_another_place() -> None:
    world = World()
    driver = Driver(world)
    driver.one.start(world.now)
    driver.go_on()
    driver.peer.send(response(driver.take(), 302, "Contact: <sip:192.0.2.31>"))
    moved = world.peer("192.0.2.31").take_request("REGISTER")
    assert moved.uri == "sip:192.0.2.31"
    world.peer("192.0.2.31").send(response(moved, 200, "Expires: 60"))
    assert driver.one.is_registered(world.now)
