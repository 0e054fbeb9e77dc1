"""OPTIONS to gateways: when they are sent, what they say, and what comes of their answers."""

from itertools import pairwise
from random import Random

from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.sip.message import Response, split
from oneproxy.site.model import Gateway, Provider
from oneproxy.trunks.health import State
from oneproxy.trunks.probes import Probes
from trunking import NOW, provider, site, states, trunks
from world import World, response

OK = split(b"SIP/2.0 200 OK\r\n\r\n")
SILENCE = Result(408, "timeout", None, 32.0)


def gateway(name: str = "a", every_s: int = 30, uri: str = "") -> Gateway:
    return Gateway(name, uri or f"sip:{name}.example.net", probe_every_s=every_s)


def contact_of(uri: str, user: str) -> str:
    return f"sip:{user}@192.0.2.1:5080" + (";transport=tcp" if "transport=tcp" in uri else "")


class Sent:
    """A probe that left, and a way to answer it."""

    def __init__(self, made: "Made", request: OwnRequest, answered: Answered) -> None:
        self.made = made
        self.at = made.now
        self.request = request
        self.answered = answered

    def answer(self, status: int = 200) -> None:
        assert isinstance(OK, Response)
        self.answered(self.made.now, Result(status, None, OK, 0.1))

    def come_to(self, result: Result) -> None:
        self.answered(self.made.now, result)


class Made:
    """Probes, and whoever drives them."""

    def __init__(self, *gateways: Gateway, seed: int = 1) -> None:
        self.now = NOW
        self.sent: list[Sent] = []
        self.trunks = trunks(made(*gateways))
        self.all = Probes(self.trunks, self._originate, contact_of, Random(seed))
        self.take(*gateways)

    def _originate(self, now: float, request: OwnRequest, answered: Answered) -> None:
        assert now == self.now
        self.sent.append(Sent(self, request, answered))

    def take(self, *gateways: Gateway) -> None:
        changed = site(made(*gateways))
        self.trunks.take(changed)
        self.all.take(self.now, changed)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.all.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.all.expire(self.now)
        self.now = until

    def to_next(self) -> Sent:
        """Go on to the next one that is sent."""
        self.sent.clear()
        while not self.sent:
            deadline = self.all.deadline()
            assert deadline is not None
            self.now = max(self.now, deadline)
            self.all.expire(self.now)
        [sent] = self.sent
        return sent

    def state(self) -> State:
        return states(self.trunks)["a"]


def made(*gateways: Gateway) -> Provider:
    return provider(*gateways, probes_down=2, probes_up=2)


# When.


def test_the_first_one_goes_out_within_two_seconds_and_not_with_all_others() -> None:
    one = Made(*[gateway(f"g{number}") for number in range(100)])
    one.wait(2.0)
    began = sorted(sent.at - NOW for sent in one.sent)
    assert len(began) == 100
    assert began[0] < 0.2
    assert began[-1] > 1.8


def test_and_within_its_interval_where_that_is_shorter() -> None:
    for seed in range(20):
        one = Made(gateway(every_s=1), seed=seed)
        assert one.to_next().at - NOW <= 1.0


def test_the_others_are_the_interval_apart_a_tenth_more_or_less() -> None:
    one = Made(gateway(every_s=30))
    times = []
    for _ in range(200):
        sent = one.to_next()
        times.append(sent.at)
        one.wait(0.1)
        sent.answer()
    apart = [after - before for before, after in pairwise(times)]
    assert 27.0 <= min(apart) < 27.5
    assert 32.5 < max(apart) <= 33.0


def test_a_gateway_that_wants_none_is_sent_none() -> None:
    one = Made(gateway(every_s=0))
    one.wait(1000.0)
    assert (one.sent, one.all.deadline()) == ([], None)


def test_whoever_owns_the_clock_hears_of_a_deadline_that_is_sooner() -> None:
    one = Made(gateway(every_s=600))
    one.to_next().answer()
    told: list[float | None] = []
    one.all.on_sooner = lambda: told.append(one.all.deadline())
    one.take(gateway(every_s=600), gateway("b"))
    assert told == [one.all.deadline()]
    assert told[0] is not None
    assert one.now <= told[0] <= one.now + 2.0


# What.


def test_it_is_for_the_gateway_itself_and_from_nobody_else() -> None:
    one = Made(gateway(uri="sip:trunk@192.0.2.30:5070;transport=tcp"))
    request = one.to_next().request
    assert (request.method, request.uri) == ("OPTIONS", "sip:192.0.2.30:5070;transport=tcp")
    assert request.towards == "sip:192.0.2.30:5070;transport=tcp"
    from_, _, tag = request.from_.partition(";tag=")
    # RFC 3261 19.1.1, table 1: neither has a port or a transport.
    assert (from_, request.to) == ("<sip:oneproxy@192.0.2.1>", "<sip:192.0.2.30>")
    assert len(tag) == 16
    assert request.headers == (
        "Contact: <sip:oneproxy@192.0.2.1:5080;transport=tcp>",
        "Accept: application/sdp",
    )
    assert (request.max_forwards, request.cseq, request.flow, request.body) == (70, 1, "", "")
    again = one.to_next().request
    assert again.call_id != request.call_id
    assert again.from_ != request.from_


def test_ipv6_keeps_its_brackets() -> None:
    request = Made(gateway(uri="sip:[2001:db8::1]:5070")).to_next().request
    assert (request.uri, request.to) == ("sip:[2001:db8::1]:5070", "<sip:[2001:db8::1]>")


# What comes of it.


def test_answers_keep_a_gateway_up_and_bring_it_back() -> None:
    one = Made(gateway())
    for _ in range(2):
        one.to_next().come_to(SILENCE)
    assert one.state() is State.DOWN
    one.to_next().answer(404)
    assert one.state() is State.DOWN
    one.to_next().answer(200)
    assert one.state() is State.CANARY


def test_a_failure_counts_as_silence() -> None:
    one = Made(gateway())
    one.to_next().answer(503)
    one.to_next().come_to(Result(503, "transport", None, 0.0))
    assert one.state() is State.DOWN


def test_silence_is_known_when_the_next_one_is_due() -> None:
    one = Made(gateway(every_s=10))
    first = one.to_next()
    one.to_next()
    assert 9.0 <= one.now - first.at <= 11.0
    assert one.state() is State.UP
    one.to_next()
    assert 18.0 <= one.now - first.at <= 22.0
    assert one.state() is State.DOWN


def test_and_after_four_seconds_where_that_is_later() -> None:
    one = Made(gateway(every_s=1))
    first = one.to_next()
    second = one.to_next()
    assert second.at - first.at == 4.0
    one.wait(3.9)
    assert (one.state(), len(one.sent)) == (State.UP, 1)
    one.wait(0.1)
    assert (one.state(), len(one.sent)) == (State.DOWN, 2)


def test_one_that_is_answered_late_but_in_time_sends_the_next_one_at_once() -> None:
    one = Made(gateway(every_s=1))
    first = one.to_next()
    one.wait(2.0)
    assert len(one.sent) == 1
    first.answer()
    assert one.to_next().at == first.at + 2.0
    assert one.state() is State.UP


def test_an_answer_that_is_too_late_says_nothing() -> None:
    one = Made(gateway(every_s=1))
    first, second = one.to_next(), one.to_next()
    first.answer()
    one.to_next()
    assert one.state() is State.DOWN
    for late in (first, second):
        late.answer()
    assert one.state() is State.DOWN
    # Nor does the end of the transaction, which comes after 32 s.
    one.to_next().answer()
    first.come_to(SILENCE)
    one.to_next().answer()
    assert one.state() is State.CANARY


def test_each_one_is_counted_once() -> None:
    one = Made(gateway(every_s=60))
    first = one.to_next()
    one.wait(32.0)
    first.come_to(SILENCE)
    one.to_next().answer()
    assert one.state() is State.UP
    one.to_next().come_to(SILENCE)
    assert one.state() is State.UP


def test_no_room_of_ours_says_nothing_of_a_gateway() -> None:
    one = Made(gateway())
    for _ in range(5):
        one.to_next().come_to(Result(503, "full", None, 0.0))
    assert one.state() is State.UP


def test_what_fails_at_once_is_counted_too() -> None:
    one = Made(gateway())

    def refuse(now: float, request: OwnRequest, answered: Answered) -> None:
        one.sent.append(Sent(one, request, answered))
        answered(now, Result(503, "name", None, 0.0))

    one.all._originate = refuse
    one.to_next()
    one.to_next()
    assert one.state() is State.DOWN


# The site changes.


def test_a_gateway_that_is_gone_is_sent_none() -> None:
    one = Made(gateway(), gateway("b"))
    one.wait(2.0)
    one.take(gateway("b"))
    one.sent[0].answer()
    one.sent.clear()
    one.wait(33.0)
    assert [sent.request.uri for sent in one.sent] == ["sip:b.example.net"]


def test_an_interval_that_is_shorter_counts_at_once() -> None:
    one = Made(gateway(every_s=600))
    first = one.to_next()
    first.answer()
    one.wait(10.0)
    one.take(gateway(every_s=20))
    assert 18.0 <= one.to_next().at - first.at <= 22.0
    one.sent[0].answer()
    one.wait(15.0)
    one.take(gateway(every_s=10))
    changed_at = one.now
    assert changed_at <= one.to_next().at <= changed_at + 2.0


def test_so_does_one_that_is_longer() -> None:
    one = Made(gateway(every_s=10))
    first = one.to_next()
    first.answer()
    one.take(gateway(every_s=600))
    assert 540.0 <= one.to_next().at - first.at <= 660.0


def test_one_under_way_has_its_time_whatever_the_interval() -> None:
    one = Made(gateway(every_s=600))
    one.to_next()
    one.wait(1.0)
    one.take(gateway(every_s=1))
    one.wait(2.9)
    assert len(one.sent) == 1
    one.wait(0.2)
    assert len(one.sent) == 2


def test_no_interval_ends_it() -> None:
    one = Made(gateway())
    first = one.to_next()
    one.take(gateway(every_s=0))
    first.come_to(SILENCE)
    one.wait(1000.0)
    assert (one.all.deadline(), len(one.sent)) == (None, 1)


def test_another_uri_is_another_peer() -> None:
    one = Made(gateway(every_s=600))
    first = one.to_next()
    one.take(gateway(every_s=600, uri="sip:192.0.2.40"))
    second = one.to_next()
    assert (second.request.uri, second.at <= first.at + 2.0) == ("sip:192.0.2.40", True)
    first.come_to(SILENCE)
    second.come_to(SILENCE)
    assert one.state() is State.UP


def test_what_has_not_changed_is_probed_as_it_was() -> None:
    one = Made(gateway())
    first = one.to_next()
    at = one.all.deadline()
    one.take(gateway())
    assert one.all.deadline() == at
    for _ in range(2):
        first.come_to(SILENCE)
    assert one.state() is State.UP


# Through the engine.


def test_it_goes_through_the_engine_and_back() -> None:
    world = World()
    site_of = site(made(gateway(uri="sip:192.0.2.30:5070", every_s=5)))
    all_trunks = trunks(*site_of.providers.values())
    probes = Probes(all_trunks, world.engine.originate, contact_of, Random(1))
    probes.take(world.now, site_of)
    peer = world.peer("192.0.2.30", 5070)
    for status in (200, 503, 503):
        at = probes.deadline()
        assert at is not None
        world.wait(max(0.0, at - world.now))
        probes.expire(world.now)
        world.deliver()
        options = peer.take_request("OPTIONS")
        assert (options.uri, options.get("max-forwards")) == ("sip:192.0.2.30:5070", "70")
        assert (options.get("via") or "").startswith("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK")
        peer.send(response(options, status, to_tag="g"))
    assert states(all_trunks) == {"a": State.DOWN}
