"""Registering at the registrar of a gateway, as its client (RFC 3261 10.2).

    start        wait, a part of the time that all have for starting
    its time     REGISTER; what is asked for on the way is done at once: a password (401, 407), a
                 longer time (423), another place (301, 302)
    200          again when some two thirds of what was granted are over
    else         again later, twice as late each time, within ten minutes, and never given up
    stop         REGISTER for no time at all

Sans-IO: time is an argument, what is to be sent comes back. Whoever drives it sends each request,
and says what came of it, once (`answered`). There is one at a time.
"""

from random import Random
from typing import Final, NamedTuple

from oneproxy.engine.decisions import Result
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.trunks.authenticator import WRONG_PASSWORD, Authenticator
from oneproxy.trunks.registrar_answers import granted_s, least_s, moved_to, retry_after_s
from oneproxy.trunks.registration_states import TRANSITIONS, Action, Input, State

#: What a try may take on its way to a 200: two passwords, a longer time, five places.
MOST_STEPS: Final = 8
MOST_PLACES: Final = 5
#: The first wait after a failure, and where the registrar wants nothing of us: carriers shut out
#: who tries the same wrong password every few seconds.
FIRST_S: Final = 5.0
REFUSED_S: Final = 60.0
LONGEST_S: Final = 600.0
#: When it is time to refresh, as parts of what was granted: drawn, so that those who came together
#: do not stay together, and early enough to try a few times more.
EARLIEST: Final = 0.6
LATEST: Final = 0.8
SHORTEST_S: Final = 5.0
#: CSeq goes on across restarts, as it is taken from the time: seconds since some day in 2020. It
#: lasts until 2088 (RFC 3261 8.1.1.5: below 2**31).
_CSEQ_EPOCH: Final = 1_600_000_000
#: The registrar knows us and wants nothing of it; trying again soon would only annoy it.
_REFUSALS: Final = frozenset((400, 403, 404, 405, 410, 416, 484, 501, 600, 603, 604, 606))
#: States in which what is bound is being taken back.
_WITHDRAWN: Final = frozenset((State.WITHDRAWING, State.RETURNING))


class Account(NamedTuple):
    """What the site says: who registers where, and which address calls are to come to.

    aor, gateway, contact: URIs; the registrar is the host of the AoR, and requests go to the gateway.
    """

    aor: str
    gateway: str
    contact: str
    username: str
    password: str
    expires_s: int = 600


class Register(NamedTuple):
    """A REGISTER that is to be sent: to the URI `towards`, without its Via and Max-Forwards.

    uri: the Request-URI. from_, to: header values. headers: whole lines; proofs are among them.
    """

    uri: str
    towards: str
    from_: str
    to: str
    call_id: str
    cseq: int
    headers: tuple[str, ...]


class Standing(NamedTuple):
    """What people are shown. Instants are seconds since the epoch, 0 for none.

    status, reason: the last answer; error: what stood for one, or why it was not good enough: one of
    `Outcome.error`, or "wrong-password", "no-challenge", "other-algorithm", "brief", "moved",
    "not-bound", "steps"; "" for none. next_at: the next try. expires_at: until when it is registered.
    failures: tries in a row that failed.
    """

    state: State
    status: int
    reason: str
    error: str
    answered_at: float
    next_at: float
    expires_at: float
    failures: int


class Registration:
    """One registration. call_id: the same for ever (RFC 3261 10.2), across restarts too."""

    __slots__ = (
        "_account",
        "_answered_at",
        "_authenticator",
        "_cseq",
        "_error",
        "_expires_at",
        "_failures",
        "_home",
        "_left_alone_s",
        "_next_at",
        "_place",
        "_places",
        "_random",
        "_reason",
        "_spread_s",
        "_status",
        "_steps",
        "_tag",
        "_wanted_s",
        "call_id",
        "state",
    )

    def __init__(self, account: Account, call_id: str, random: Random) -> None:
        self.call_id = call_id
        self.state = State.STOPPED
        self._account = account
        self._random = random
        self._authenticator = Authenticator(account.username, account.password, random)
        self._tag = f"{random.getrandbits(64):016x}"
        self._cseq = 0
        #: Request-URI and where it goes: at home, and where the present try was sent to.
        self._home = _home(account)
        self._place = self._home
        self._places: set[str] = set()
        self._wanted_s = account.expires_s
        self._steps = 0
        self._failures = 0
        self._spread_s = 0.0
        #: How long the registrar asked to be left alone.
        self._left_alone_s = 0
        #: 0 for no time.
        self._next_at = 0.0
        self._expires_at = 0.0
        self._status, self._reason, self._error, self._answered_at = 0, "", "", 0.0

    # What happens.

    def start(self, now: float, spread_s: float = 0.0) -> None:
        """Begin, within `spread_s`: a hundred that start together do not come together."""
        self._spread_s = spread_s
        self._step(now, Input.START)

    def stop(self, now: float) -> Register | None:
        """Take back what is bound; what is to be sent for that now."""
        return self._step(now, Input.STOP)

    def deadline(self) -> float | None:
        """When `expire` is to be called next; None: not before something else has happened."""
        return self._next_at or None

    def expire(self, now: float) -> Register | None:
        """What is to be sent now, if it is time."""
        if not self._next_at or now < self._next_at:
            return None
        self._begin()
        return self._step(now, Input.DUE)

    def answered(self, now: float, result: Result) -> Register | None:
        """What came of the request under way; what is to be sent for that at once."""
        self._status, self._error, self._answered_at = result.status, result.error or "", now
        self._reason = "" if result.response is None else result.response.reason
        return self._step(now, self._read(now, result.response))

    def take(self, now: float, account: Account) -> bool:
        """The site has changed; whether this may go on as the registration of `account`.

        Another AoR, gateway or contact is another registration: this one is to be stopped.
        """
        before = self._account
        if (account.aor, account.gateway, account.contact) != (before.aor, before.gateway, before.contact):
            return False
        self._account = account
        if account != before:
            self._wanted_s = account.expires_s
            self._authenticator = Authenticator(account.username, account.password, self._random)
            if self.state is State.WAITING and self._failures:
                # The mistake may have been mended.
                self._failures = 0
                self._next_at = now
        return True

    # What people and other parts see.

    def is_registered(self, now: float) -> bool:
        """Whether the registrar knows us; a refresh that failed takes nothing away before its time."""
        return now < self._expires_at

    @property
    def expires_at(self) -> float:
        """Until when it is registered, seconds since the epoch; 0: it is not."""
        return self._expires_at

    def standing(self) -> Standing:
        """What people are shown."""
        return Standing(
            self.state,
            self._status,
            self._reason,
            self._error,
            self._answered_at,
            self._next_at,
            self._expires_at,
            self._failures,
        )

    # What is done.

    def _step(self, now: float, happened: Input) -> Register | None:
        found = TRANSITIONS.get((self.state, happened))
        if found is None:
            return None
        self.state, action = found
        match action:
            case Action.NOTHING:
                pass
            case Action.SEND:
                return self._register(now)
            case Action.WITHDRAW:
                return self._withdraw(now)
            case Action.KEEP:
                self._keep(now)
            case Action.BACK_OFF:
                self._back_off(now)
            case Action.SPREAD:
                self._failures, self._expires_at = 0, 0.0
                # Never 0, which would be no time.
                self._next_at = max(now + self._random.random() * self._spread_s, 1e-9)
            case Action.FORGET:
                self._expires_at = self._next_at = 0.0
        return None

    def _begin(self) -> None:
        """A try begins, at home or where a 301 has sent us."""
        self._next_at = 0.0
        self._place = self._home
        self._places = {self._place[1]}
        self._steps = 0

    def _withdraw(self, now: float) -> Register | None:
        self._begin()
        if self.is_registered(now):
            return self._register(now)
        # There is nothing to take back.
        self.state = State.STOPPED
        return None

    def _keep(self, now: float) -> None:
        """It is registered: again when most of the time is over."""
        self._failures = 0
        part = EARLIEST + (LATEST - EARLIEST) * self._random.random()
        self._next_at = now + max((self._expires_at - now) * part, SHORTEST_S)

    def _back_off(self, now: float) -> None:
        """It failed: again later, and not with all the others who failed now."""
        self._home = _home(self._account)
        is_refused = self._error == WRONG_PASSWORD or self._status in _REFUSALS
        first_s = REFUSED_S if is_refused else FIRST_S
        # Beyond ten doublings it is the longest by far.
        wait_s = min(first_s * 2.0 ** min(self._failures, 10), LONGEST_S)
        self._failures += 1
        wait_s *= 0.5 + 0.5 * self._random.random()
        self._next_at = now + min(max(wait_s, self._left_alone_s), LONGEST_S)

    # What an answer means.

    def _read(self, now: float, response: Response | None) -> Input:
        self._left_alone_s = 0
        if response is None:
            return Input.FAILED
        if 200 <= response.status < 300:
            return self._read_success(now, response)
        self._steps += 1
        if self._steps > MOST_STEPS:
            self._error = "steps"
            return Input.FAILED
        match response.status:
            case 401 | 407:
                self._error = self._authenticator.challenged(response)
            case 423:
                self._error = self._lengthen(response)
            case 301 | 302:
                self._error = self._move(response)
            case _:
                self._left_alone_s = retry_after_s(response)
                return Input.FAILED
        return Input.FAILED if self._error else Input.AGAIN

    def _read_success(self, now: float, response: Response) -> Input:
        self._authenticator.succeeded(response)
        if self.state in _WITHDRAWN:
            self._expires_at = 0.0
            return Input.OK
        # More than was asked for would have us come too late where the registrar forgets.
        bound_s = min(granted_s(response, self._account.contact, self._wanted_s), self._wanted_s)
        self._expires_at = now + bound_s if bound_s else 0.0
        if bound_s:
            return Input.OK
        self._error = "not-bound"
        return Input.FAILED

    def _lengthen(self, response: Response) -> str:
        """RFC 3261 10.2.8: a longer time is asked for, if it is one."""
        wanted_s = least_s(response)
        if wanted_s <= self._wanted_s or self.state in _WITHDRAWN:
            return "brief"
        self._wanted_s = wanted_s
        return ""

    def _move(self, response: Response) -> str:
        """RFC 3261 8.1.3.4: another place is asked, none twice; after a 301 it is the place to be."""
        there = moved_to(response, self._account.gateway[:5].lower() == "sips:")
        if not there or there in self._places or len(self._places) > MOST_PLACES:
            return "moved"
        self._places.add(there)
        self._place = there, there
        if response.status == 301:
            self._home = self._place
        return ""

    def _register(self, now: float) -> Register:
        uri, towards = self._place
        account = self._account
        # RFC 3261 10.2: it goes up with each request of one Call-ID, and of the next start too.
        self._cseq = max(self._cseq + 1, int(now) - _CSEQ_EPOCH)
        expires_s = 0 if self.state in _WITHDRAWN else self._wanted_s
        headers = (
            f"Contact: <{account.contact}>",
            f"Expires: {expires_s}",
            *self._authenticator.lines("REGISTER", uri),
        )
        address = f"<{account.aor}>"
        from_ = f"{address};tag={self._tag}"
        return Register(uri, towards, from_, address, self.call_id, self._cseq, headers)


def _home(account: Account) -> tuple[str, str]:
    """The Request-URI of a REGISTER, the domain of the AoR (RFC 3261 10.2), and where it is sent."""
    aor = parse_uri(account.aor)
    if isinstance(aor, Malformed):
        return account.gateway, account.gateway
    return Uri(aor.scheme, None, None, aor.host, aor.port, {}, "", "").format(), account.gateway
