"""A registration among a registrar's whims: whatever is answered when, it holds what it promises."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oneproxy.engine.decisions import Result
from oneproxy.sip.message import Response, split
from oneproxy.trunks.registration import LONGEST_S, MOST_STEPS, Account, Register, Registration
from oneproxy.trunks.registration_states import State

ACCOUNT = Account("sip:me@c.example", "sip:198.51.100.1", "sip:me@192.0.2.1", "me", "secret", 300)
ERRORS = st.sampled_from([(408, "timeout"), (408, "no-answer"), (503, "transport"), (503, "name")])
HEADERS = st.lists(
    st.sampled_from(
        [
            'WWW-Authenticate: Digest realm="r", nonce="1", qop="auth"',
            'WWW-Authenticate: Digest realm="r", nonce="2", stale=true',
            'Proxy-Authenticate: Digest realm="p", nonce="3"',
            "WWW-Authenticate: Digest nonsense",
            "Min-Expires: 400",
            "Min-Expires: 900",
            "Contact: <sip:198.51.100.2>",
            "Contact: <sip:me@192.0.2.1>;expires=30, <sip:other@h>",
            "Contact: <sip:198.51.100.3>;expires=7, <sip:h>",
            "Expires: 0",
            "Expires: 200",
            "Retry-After: 7",
            "Retry-After: 99999999",
            'Authentication-Info: nextnonce="9"',
        ]
    ),
    max_size=4,
)
STATUSES = st.sampled_from([200, 200, 200, 301, 302, 401, 407, 423, 403, 500, 503, 600])


class Registering(RuleBasedStateMachine):
    """The driver, and a registrar that answers anything."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_750_000_000.0
        self.under_way: Register | None = None
        self.cseq = 0
        self.tag = ""
        #: Requests since the last answer that ended a try.
        self.steps = 0
        self.is_wanted = False
        #: Until when it was told that it is bound.
        self.bound_until = 0.0

    @initialize(seed=st.integers(0, 1000))
    def make(self, seed: int) -> None:
        self.one = Registration(ACCOUNT, "the-call-id", Random(seed))

    def sent(self, request: Register | None) -> None:
        if request is None:
            return
        assert self.under_way is None, "one at a time"
        self.under_way = request
        assert request.call_id == "the-call-id"
        assert self.cseq < request.cseq < 2**31
        self.cseq = request.cseq
        assert self.tag in ("", request.from_)
        self.tag = request.from_
        assert sum(line.startswith("Expires: ") for line in request.headers) == 1
        assert "secret" not in repr(request)

    @rule(spread_s=st.sampled_from([0.0, 30.0]))
    def start(self, spread_s: float) -> None:
        self.one.start(self.now, spread_s)
        self.is_wanted = True

    @rule()
    def stop(self) -> None:
        self.is_wanted = False
        self.sent(self.one.stop(self.now))

    @rule()
    def reload(self) -> None:
        assert self.one.take(self.now, ACCOUNT._replace(password="secret2", expires_s=200 + self.cseq % 2))

    @rule(by_s=st.floats(0, 700))
    def wait(self, by_s: float) -> None:
        self.now += by_s
        self.sent(self.one.expire(self.now))

    @precondition(lambda self: self.one.deadline() is not None)
    @rule()
    def wait_for_it(self) -> None:
        at = self.one.deadline()
        assert at is not None
        self.now = max(self.now, at)
        self.steps = 0
        request = self.one.expire(self.now)
        assert request is not None
        self.sent(request)

    @precondition(lambda self: self.under_way is not None)
    @rule(status=STATUSES, headers=HEADERS, took_s=st.floats(0, 32))
    def answer(self, status: int, headers: list[str], took_s: float) -> None:
        self.now += took_s
        response = split("\r\n".join([f"SIP/2.0 {status} X", *headers, "", ""]).encode())
        assert isinstance(response, Response)
        self.heard(Result(status, None, response, took_s))

    @precondition(lambda self: self.under_way is not None)
    @rule(error=ERRORS)
    def fail(self, error: tuple[int, str]) -> None:
        self.heard(Result(*error, None, 32.0))

    def heard(self, result: Result) -> None:
        self.under_way = None
        self.steps += 1
        before = self.one.standing().expires_at
        again = self.one.answered(self.now, result)
        after = self.one.standing().expires_at
        # Nothing but a 200 makes it registered for longer.
        assert after <= before or 200 <= result.status < 300
        if again is None:
            self.steps = 0
        self.sent(again)

    @precondition(lambda self: self.under_way is not None)
    @rule(status=st.sampled_from([401, 407, 423, 302]))
    def go_round(self, status: int) -> None:
        """A registrar that always wants something else."""
        for number in range(30):
            if self.under_way is None:
                return
            headers = [
                f'WWW-Authenticate: Digest realm="r", nonce="{number}", stale=true',
                f'Proxy-Authenticate: Digest realm="r", nonce="{number}", stale=true',
                f"Min-Expires: {1000 + number}",
                f"Contact: <sip:198.51.100.{number}>",
            ]
            self.answer(status, headers, 0.0)
        raise AssertionError("it goes round for ever")

    @rule()
    def stray_answer(self) -> None:
        if self.under_way is None:
            state = self.one.state
            self.sent(self.one.answered(self.now, Result(200, None, None, 0.0)))
            assert self.one.state is state

    @invariant()
    def is_never_given_up(self) -> None:
        if not hasattr(self, "one"):
            return
        at = self.one.deadline()
        if not self.is_wanted:
            assert at is None
            assert self.under_way is not None or self.one.state is State.STOPPED
        elif self.under_way is None:
            assert at is not None
            # Ten minutes after a failure, else before what was granted is over.
            longest = max(LONGEST_S, self.one.standing().expires_at - self.now, 30.0)
            assert at <= self.now + longest
        else:
            assert at is None

    @invariant()
    def no_try_goes_on_for_ever(self) -> None:
        assert self.steps <= MOST_STEPS + 1


TestRegistering = Registering.TestCase
TestRegistering.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
