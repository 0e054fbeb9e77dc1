"""Servers that want to be sent less: by 503 with Retry-After (RFC 3261 21.5.4), or by a loss that they
tell in our own Via (RFC 7339).

    503 with Retry-After    nothing until then, then by and by all
    oc=20 in our Via        of what begins something every fifth is not sent, as long as that holds

What is not sent counts as a branch that failed with 503: another target may take it, or its sender is
answered 503 without Retry-After (RFC 7339 5.10), since that would speak of us and keep away what is for
others. What is inside of a dialog, ACK, CANCEL and what is urgent goes on (5.10.1). A call that does
not begin sends nothing else either, so a share of the calls is that share of all requests.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import BY_SITE
from oneproxy.sip.fields import parse_delta_seconds
from oneproxy.sip.oc import Feedback, read_feedback
from oneproxy.sip.uri import Uri

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.engine.counters import Counters
    from oneproxy.engine.decisions import Ask, Target
    from oneproxy.engine.flow import Flow
    from oneproxy.sip.message import Request, Response

#: Why something was not sent: stable codes, of counters, logs and `Outcome.error`.
BY_OC: Final = "oc"
BY_RETRY_AFTER: Final = "retry-after"
SLOWED: Final = frozenset((BY_OC, BY_RETRY_AFTER))

#: After a Retry-After the share that is not sent falls from all to nothing in this time: whoever had
#: too much to do would have it again if all came back at once.
BACK_S: Final = 5.0
#: No loss holds for longer, whatever is said: a wrong number must not keep a neighbour without calls.
LONGEST_LOSS_S: Final = 60.0
#: For so long after the end of it a neighbour is remembered, so that a response that was overtaken
#: does not begin it again: as long as one may be on its way (RFC 3261 17.1.1.2, Timer B).
_REMEMBERED_S: Final = 32.0
#: How many are remembered.
_MOST: Final = 1024

#: Transport, IP address and port of one.
Key = tuple[str, str, int]


class Neighbour:
    """One server that has asked for less. Instants are seconds since the epoch, 0.0 for never."""

    __slots__ = ("forget_at", "loss_percent", "loss_until", "rest_until", "seq")

    def __init__(self) -> None:
        #: What it last said of its loss, until when that holds, and its number.
        self.loss_percent = 0
        self.loss_until = 0.0
        self.seq = 0.0
        #: The end of its Retry-After.
        self.rest_until = 0.0
        self.forget_at = 0.0

    def told(self, now: float, feedback: Feedback) -> None:
        """It has said how much less it wants. What is older than what it said before is nothing (5.4)."""
        if feedback.seq and feedback.seq <= self.seq:
            return
        self.seq = feedback.seq
        self.loss_percent = feedback.loss_percent
        self.loss_until = now + min(feedback.valid_s, LONGEST_LOSS_S)
        self._remember(self.loss_until)

    def rest(self, now: float, seconds: float) -> None:
        """It wants nothing for so long."""
        self.rest_until = max(self.rest_until, now + seconds)
        self._remember(self.rest_until + BACK_S)

    def loss(self, now: float) -> tuple[float, str]:
        """Of a hundred requests so many are not to be sent, 0 to 100, and why."""
        percent, cause = 0.0, BY_OC
        if now < self.loss_until:
            percent = float(self.loss_percent)
        left_s = self.rest_until + BACK_S - now
        if left_s > 0.0:
            resting = min(100.0, 100.0 * left_s / BACK_S)
            if resting > percent:
                percent, cause = resting, BY_RETRY_AFTER
        return percent, cause

    def _remember(self, until: float) -> None:
        self.forget_at = max(self.forget_at, until + _REMEMBERED_S)


class Neighbours:
    """All of them, and who is asked.

    spares: whether a request is urgent (`Gate.spares`). asks: whether neighbours are told that we do as
    they say (RFC 7339 5.1). max_retry_after_s: what more than that a Retry-After says is not kept to; 0
    for none at all. on_slowed: told of every request that is not sent: when, to whom, and why.
    """

    __slots__ = ("_counters", "_of", "_random", "_spares", "asks", "max_retry_after_s", "on_slowed")

    def __init__(self, counters: "Counters", spares: "Callable[[Flow, Request, Uri], bool]") -> None:
        self._counters = counters
        self._spares = spares
        self._of: dict[Key, Neighbour] = {}
        self._random = Random()
        self.asks = False
        self.max_retry_after_s = 0
        self.on_slowed: Callable[[float, Flow, str], None] = _ignore

    def __len__(self) -> int:
        """How many there are that have asked for less lately."""
        return len(self._of)

    def is_one(self, ask: "Ask | None", target: "Target", flow: "Flow") -> bool:
        """Whether what `target` leads to is a server whose word on its load counts.

        Contacts that were registered are phones: who registers one would have a say over what others
        are sent there, and the next call may be for another phone behind the same address. In a
        dialog nobody knows which side is what, so there those are asked that have asked for less.
        """
        if target.flow is not None:
            return False
        if ask is None or ask.inside:
            return bool(self._of) and _key(flow) in self._of
        return not target.source or target.source == BY_SITE

    def refuses(self, now: float, flow: "Flow", ask: "Ask") -> str:
        """Why the request of `ask`, which begins something, is not sent on `flow`; "" where it is."""
        key = _key(flow)
        neighbour = self._of.get(key)
        if neighbour is None:
            return ""
        percent, cause = neighbour.loss(now)
        if not percent:
            if now >= neighbour.forget_at:
                del self._of[key]
            return ""
        if self._random.random() * 100.0 >= percent or self._spares(ask.flow, ask.request, ask.uri):
            return ""
        self._counters.slowed[cause] += 1
        self.on_slowed(now, flow, cause)
        return cause

    def heard(self, now: float, flow: "Flow", client: "ClientTransaction", response: "Response") -> None:
        """A response of a neighbour has come on `flow` to what `client` has sent.

        It counts if it came from where that went: whoever is further down sees our branch too, and
        could speak in the place of all that are on his way (RFC 7339 10).
        """
        if flow.host != client.flow.host:
            return
        via = response.top_via or ""
        if self.asks and "oc" in via and not via.startswith(client.flow.listener.asking_via):
            feedback = read_feedback(via)
            if feedback is not None:
                self._told(now, _key(client.flow), feedback)
        if response.status == 503 and self.max_retry_after_s:
            # A gateway has health of its own, which keeps to it; in a dialog it may be of a phone.
            target = client.attempt.target
            if target.heard is None and (not target.source or target.source == BY_SITE):
                self._rest(now, _key(client.flow), response)

    def _told(self, now: float, key: Key, feedback: Feedback) -> None:
        # That it wants no less is remembered too: a word of before may be on its way.
        neighbour = self._find(now, key)
        if neighbour is not None:
            neighbour.told(now, feedback)

    def _rest(self, now: float, key: Key, response: "Response") -> None:
        written = (response.get("retry-after") or "").partition("(")[0].partition(";")[0]
        seconds = parse_delta_seconds(written) or 0
        if not seconds:
            return
        neighbour = self._find(now, key)
        if neighbour is not None and not (neighbour.loss_percent and now < neighbour.loss_until):
            # One that says how much less it wants does not want nothing.
            neighbour.rest(now, min(seconds, self.max_retry_after_s))

    def _find(self, now: float, key: Key) -> Neighbour | None:
        """The neighbour of this key; None where there is no room for another one."""
        neighbour = self._of.get(key)
        if neighbour is None:
            if len(self._of) >= _MOST:
                self._of = {one: other for one, other in self._of.items() if now < other.forget_at}
                if len(self._of) >= _MOST:
                    return None
            neighbour = self._of[key] = Neighbour()
        return neighbour


def _key(flow: "Flow") -> Key:
    return flow.listener.transport, flow.host, flow.port


def _ignore(_now: float, _flow: "Flow", _cause: str) -> None:
    """Nobody wants to know."""
