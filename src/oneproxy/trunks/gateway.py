"""What is known of one gateway: the calls that it has, how it answers, and whether it is well.

The number of its calls is the size of the set of those that it has. There is nothing that is
added to and taken from, and so nothing that could drift, however often an end is reported.
"""

from typing import TYPE_CHECKING, Final

from oneproxy.site import model
from oneproxy.trunks.health import Health
from oneproxy.trunks.latency import UNKNOWN_MS, Latency, Traffic, forgotten
from oneproxy.trunks.pace import Pace

if TYPE_CHECKING:
    from oneproxy.trunks.attempt import Attempt

#: In place of "no limit", so that comparing is all there is to do.
UNLIMITED: Final = 1 << 60
#: In place of "no registration is needed", likewise.
ALWAYS: Final = float("inf")
#: How much of a call goes into the success rate, and how many calls say enough.
_SHARE: Final = 0.05
ENOUGH: Final = 20
#: Who has failed always is worth trying yet, where nobody else is there.
_LEAST_RATE: Final = 0.05
#: The kinds of ends that are counted: status classes, and faults that stood for a status.
ENDS: Final = ("2xx", "3xx", "4xx", "5xx", "6xx", "timeout", "transport", "given-up", "slowed")


class GatewayState:
    """One gateway of a provider, for as long as its name stands in the site or it has calls."""

    __slots__ = (
        "_rate",
        "_rated_at",
        "_traffic",
        "ends",
        "health",
        "held",
        "judged",
        "latency",
        "max_calls",
        "pace",
        "place",
        "registered_until",
        "site",
        "turn",
        "waiting",
        "waiting_since",
    )

    def __init__(self, site: model.Gateway, traffic: Traffic) -> None:
        """traffic: of its provider."""
        self._traffic = traffic
        #: The attempts that count as its calls: from the INVITE that is sent to the end.
        self.held: set[Attempt] = set()
        #: Calls that wait for a first response, and the sum of when they began.
        self.waiting = 0
        self.waiting_since = 0.0
        self.pace: Pace | None = None
        #: How often each kind of end came; read by whoever shows it.
        self.ends: dict[str, int] = dict.fromkeys(ENDS, 0)
        #: Its place in turns by weight, and in the order of the site.
        self.turn = 0.0
        self.place = 0
        self.site = site
        self._forget()
        self._bound(site)

    def take(self, site: model.Gateway, rules: model.Provider) -> None:
        """The site has changed. Another URI is another peer, of which nothing is known."""
        if site.uri != self.site.uri:
            self._forget()
        elif self.site.probe_every_s and not site.probe_every_s:
            self.health.unprobed(rules)
        self._bound(site)

    def _bound(self, site: model.Gateway) -> None:
        self.site = site
        self.max_calls = site.max_calls or UNLIMITED
        if not self.needs_registration:
            self.registered_until = ALWAYS
        elif self.registered_until == ALWAYS:
            self.registered_until = 0.0
        if not site.max_calls_per_s:
            self.pace = None
        elif self.pace is None or self.pace.most != site.max_calls_per_s:
            self.pace = Pace(site.max_calls_per_s, self.pace)

    def _forget(self) -> None:
        self.health = Health()
        self.latency = Latency(self._traffic)
        #: No calls from then on: until when we are registered there, where that is needed.
        self.registered_until = ALWAYS
        #: Calls that were judged since it was last brought back.
        self.judged = 0
        self._rate = 1.0
        self._rated_at = 0.0

    @property
    def needs_registration(self) -> bool:
        """Whether it takes calls only while we are registered there."""
        return self.site.register is not None and self.site.register.required

    def registered(self, until: float) -> None:
        """We are registered there until then; 0: not."""
        if self.needs_registration:
            self.registered_until = until

    @property
    def calls(self) -> int:
        """Calls that it has."""
        return len(self.held)

    # Calls that wait for their first response.

    def sent(self, now: float) -> None:
        """An INVITE goes there."""
        self.waiting += 1
        self.waiting_since += now
        self._traffic.began(now)
        if self.pace is not None:
            self.pace.add(now)

    def waited(self, since: float) -> None:
        """One that was sent then does not wait any more."""
        self.waiting -= 1
        # Anew each time that nobody waits: rounding does not add up.
        self.waiting_since = self.waiting_since - since if self.waiting else 0.0

    # How often it takes the call.

    def rate(self) -> float:
        """The share of calls that it did not fail, 0 to 1; forgotten like latency."""
        failing = 1.0 - self._rate
        return 1.0 - failing * forgotten(self._traffic.lived_s - self._rated_at) if failing else 1.0

    def rated(self, is_good: bool) -> None:
        """A call was taken, or failed."""
        rate = self.rate()
        self._rate = rate + (is_good - rate) * _SHARE
        self._rated_at = self._traffic.lived_s
        self.judged += 1

    def unlearn(self) -> None:
        """It is a canary: how long it took, when it failed, says nothing of now."""
        self.latency = Latency(self._traffic)

    def brought_back(self) -> None:
        """It has proved itself; what it did before is over."""
        self.judged = 0
        self._rate = 1.0

    def cost(self, now: float) -> float:
        """What a call there costs: the lower, the better it is chosen.

        The time to the first response times the calls that wait for one, with this one, over
        the weight; and over the fourth power of the success rate, so that one that fails every
        fifth call costs 2.4 times as much. Where those that wait have done so for longer than
        responses took so far, that is the time: a gateway that has just died shows it at once.

        Nobody is faster than one of which nothing is known, or that would have no calls at all
        beside gateways on the same network. No caller hears the difference either; and where one
        answers in 1 ms, a single 10 ms of another would keep all calls from that for minutes.
        """
        waiting = self.waiting
        expected_ms = self.latency.value(now)
        if expected_ms < UNKNOWN_MS:
            expected_ms = UNKNOWN_MS
        if waiting:
            waited_ms = (now - self.waiting_since / waiting) * 1000.0
            if waited_ms > expected_ms:
                expected_ms = waited_ms
        cost = expected_ms * (waiting + 1) / (self.site.weight or 1)
        if self._rate < 1.0:
            rate = self.rate()
            cost /= (rate if rate > _LEAST_RATE else _LEAST_RATE) ** 4
        return cost

    def load(self) -> float:
        """The share of its calls: of its maximum, or, without one, of 1000 for each of its weight."""
        maximum = self.site.max_calls or 1000 * (self.site.weight or 1)
        return len(self.held) / maximum
