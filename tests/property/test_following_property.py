"""Whatever passes in whatever order, a call is told of as a call can be, and leaves nothing behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.following import Following
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.tables import Tables
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split
from world import request, response

ORDER = list(CallEvent)
ENDS = {CallEvent.ENDED, CallEvent.GIVEN_UP}
STATUSES = [100, 180, 183, 200, 202, 302, 401, 407, 408, 422, 481, 487, 503, 603]
INTERVALS = ["", "Session-Expires: 60", "Session-Expires: 100;refresher=uac", "Session-Expires: 9999"]

tags = st.sampled_from(["b", "c"])
intervals = st.sampled_from(INTERVALS)
steps = st.one_of(
    st.tuples(st.just("response"), st.sampled_from(STATUSES), tags, intervals),
    st.tuples(st.just("failure"), st.sampled_from(STATUSES[5:])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("end")),
    st.tuples(
        st.just("request"),
        st.sampled_from(["INVITE", "UPDATE", "INFO", "BYE", "PRACK"]),
        st.booleans(),
        tags,
        intervals,
    ),
    st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(STATUSES[3:]), intervals),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 32.0, 99.0, 2000.0])),
)


def parsed(data: bytes) -> Request:
    message = split(data)
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def headers(interval: str) -> tuple[str, ...]:
    return ("Supported: timer", interval) if interval else ()


class Run:
    """Two passes of one call, driven by hypothesis."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tables = Tables(self.now)
        self.following = Following(self.tables, 2, lambda _: False, self.send)
        self.told: dict[int, list[CallEvent]] = {}
        self.sent = 0
        self.open: list[Request] = []
        invite = parsed(request("INVITE", "sip:bob", "Supported: timer", "Contact: <sip:a@192.0.2.10>"))
        self.calls = [self.following.begin(self.now, invite, self, Session(600, bye=True)) for _ in range(2)]
        assert self.following.begin(self.now, invite, self, None) is None
        self.invite = invite

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch."""
        assert now >= call.started_at
        self.told.setdefault(id(call), []).append(event)

    def send(self, _now: float, own: OwnRequest) -> None:
        """A BYE of our own can be read."""
        assert parsed(own.render("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")).method == "BYE"
        self.sent += 1

    def response(self, status: int, tag: str, interval: str) -> None:
        message = split(
            response(self.invite, status, "Contact: <sip:b@192.0.2.20>", *headers(interval), to_tag=tag)
        )
        assert isinstance(message, Response)
        for one in self.calls:
            assert one is not None
            one.responded(self.now, message)

    def failure(self, status: int) -> None:
        for one in self.calls:
            assert one is not None
            one.failed(self.now, status, "")

    def cancel(self) -> None:
        for one in self.calls:
            assert one is not None
            one.cancelled(self.now, parsed(request("CANCEL")))

    def end(self) -> None:
        first = self.calls[0]
        assert first is not None
        self.following.end(self.now, first, "SIP;cause=480")

    def request(self, method: str, is_callee: bool, tag: str, interval: str) -> None:
        ends = (tag, "a") if is_callee else ("a", tag)
        sent = parsed(
            request(
                method,
                "sip:there",
                *headers(interval),
                cseq=len(self.open) + 2,
                from_tag=ends[0],
                to_tag=ends[1],
            )
        )
        followed = self.following.of(sent)
        if followed is not None:
            followed.requested(self.now, sent)
            self.open.append(sent)

    def answer(self, at: int, status: int, interval: str) -> None:
        if at >= len(self.open):
            return
        sent = self.open[at]
        given = split(response(sent, status, *headers(interval)))
        for followed in self.calls:
            assert followed is not None
            assert isinstance(given, Response)
            is_from_caller = followed.is_from_caller(sent)
            followed.answered(self.now, sent.method, sent.cseq, is_from_caller, given, status)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tables.wheel.expire(self.now)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25))
def test_events_come_once_in_order_and_end_with_the_call(taken: list[tuple[object, ...]]) -> None:
    run = Run()
    for name, *arguments in taken:
        getattr(run, str(name))(*arguments)
    run.end()
    run.wait(1)
    for followed in run.calls:
        assert followed is not None
        events = run.told.get(id(followed.call), [])
        assert [ORDER.index(event) for event in events] == sorted({ORDER.index(event) for event in events})
        assert len(ENDS & set(events)) <= 1
        assert (CallEvent.ENDED in events) <= (CallEvent.ANSWERED in events)
        assert (CallEvent.GIVEN_UP in events) <= (CallEvent.ANSWERED not in events)
        assert bool(followed.call.ended_at) == bool(ENDS & set(events))
        assert followed.call.ended_at <= run.now
        followed.failed(run.now, 500, "")
        run.following.end(run.now, followed, "")
    assert len(run.following) == 0
    assert all(ENDS & set(events) for events in run.told.values())
    before = {one: list(events) for one, events in run.told.items()}, run.sent
    run.wait(10_000)
    assert (run.told, run.sent) == before
    assert run.tables.wheel.deadline() is None
