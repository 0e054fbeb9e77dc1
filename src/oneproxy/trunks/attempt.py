"""One call at one gateway, from the INVITE that is sent there to the end of the call."""

from typing import TYPE_CHECKING

from oneproxy.trunks.codes import Verdict, judge
from oneproxy.trunks.gateway import GatewayState

if TYPE_CHECKING:
    from oneproxy.trunks.provider import ProviderState


class Attempt:
    """It counts as a call of the gateway until `end`, which may come as often as it likes.

    All instants are seconds since the epoch. What comes in another order than it should, or
    after the end, changes nothing.
    """

    __slots__ = (
        "_health",
        "gateway",
        "is_answered",
        "is_canary",
        "is_over",
        "is_reached",
        "is_waiting",
        "provider",
        "started_at",
    )

    def __init__(self, provider: "ProviderState", gateway: GatewayState, now: float, is_canary: bool) -> None:
        self.provider = provider
        self.gateway = gateway
        self._health = gateway.health
        self.started_at = now
        #: Whether its fate says if the gateway may come back.
        self.is_canary = is_canary
        if is_canary:
            gateway.health.trying = self
        self.is_waiting = False
        #: Whether the callee was reached: from then on no other gateway is tried.
        self.is_reached = False
        self.is_answered = False
        self.is_over = False
        gateway.held.add(self)
        provider.held.add(self)

    def sent(self) -> None:
        """Its INVITE goes out."""
        self.is_waiting = True
        self.gateway.sent(self.started_at)

    def adopted(self) -> None:
        """It was answered long ago, before this process began."""
        self.is_reached = self.is_answered = True

    def again(self) -> "Attempt":
        """It was given up too early: it is a call of the gateway once more."""
        return self.provider.adopt(self.gateway.site.name, self.started_at, False)

    @property
    def is_of_now(self) -> bool:
        """Whether the gateway is the peer yet that it was sent to: another URI is another one."""
        return self._health is self.gateway.health

    @property
    def uri(self) -> str:
        """Where to."""
        return self.gateway.site.uri

    @property
    def try_for_s(self) -> float:
        """How long to wait for any response."""
        return self.provider.site.try_for_ms / 1000.0

    def responded(self, now: float) -> None:
        """A response has come, be it a 100; only the first one says anything."""
        if self.is_waiting:
            self._stop_waiting()
            if self.is_of_now:
                self.gateway.latency.observe(now, (now - self.started_at) * 1000.0)

    def reached(self, now: float) -> None:
        """A provisional response beyond 100 has come: the callee is being called."""
        if self.is_over or self.is_reached:
            return
        self.responded(now)
        self.is_reached = True
        self.provider.taken(now, self)

    def answered(self, now: float) -> None:
        """A 2xx has come."""
        if self.is_over or self.is_answered:
            return
        self.reached(now)
        self.is_answered = True
        self.gateway.ends["2xx"] += 1

    def failed(
        self,
        now: float,
        status: int,
        error: str | None = None,
        retry_after_s: int = 0,
        responded_at: float = 0.0,
    ) -> Verdict:
        """The INVITE has come to nothing: status and error as in `engine.decisions.Outcome`.

        retry_after_s: of a 503; 0: it said none. responded_at: when the first response came, if
        nobody has said so before; 0: now, or never where `error` says that none came.
        """
        verdict = judge(self.provider.codes, status, error, self.is_reached)
        if self.is_over or self.is_answered:
            return verdict
        if verdict is Verdict.SLOWED:
            self._spare()
            return verdict
        if self.is_waiting:
            self._charge(responded_at or now, error, verdict)
        if verdict is not Verdict.OURS:
            kind = f"{status // 100}xx" if error is None or error == "no-answer" else error
            self.gateway.ends["transport" if kind == "name" else kind] += 1
        if verdict is Verdict.FAILED:
            if status == 503 and error is None and self.is_of_now:
                self.gateway.health.rest(now, retry_after_s, self.provider.site)
            self.provider.failed(now, self)
        elif verdict is not Verdict.OURS and not self.is_reached:
            self.provider.taken(now, self)
        self._leave()
        return verdict

    def end(self, now: float) -> None:
        """The call is over, or was given up: the gateway has one call less."""
        if self.is_over:
            return
        if self.is_waiting:
            # Its caller had enough. It would have taken this long at least.
            self._stop_waiting()
            self._observe_longer(now)
        if not self.is_answered:
            self.gateway.ends["given-up"] += 1
        self._leave()

    def _spare(self) -> None:
        """It was sent nothing, which says nothing new of it."""
        if self.is_waiting:
            self._stop_waiting()
        self.gateway.ends["slowed"] += 1
        self._leave()

    def _leave(self) -> None:
        self.is_over = True
        self.gateway.health.told(self)
        self.gateway.held.discard(self)
        self.provider.held.discard(self)

    def _charge(self, at: float, error: str | None, verdict: Verdict) -> None:
        """The time to the first response, where that was the final one.

        Only a time that is longer than what was expected counts: a gateway that refuses every
        call at once is not a fast one.
        """
        self._stop_waiting()
        if error not in ("transport", "name") and verdict is not Verdict.OURS:
            self._observe_longer(at)

    def _observe_longer(self, at: float) -> None:
        ms = (at - self.started_at) * 1000.0
        if self.is_of_now and ms > self.gateway.latency.value(at):
            self.gateway.latency.observe(at, ms)

    def _stop_waiting(self) -> None:
        self.is_waiting = False
        self.gateway.waited(self.started_at)
