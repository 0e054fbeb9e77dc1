"""The node's part that keeps calls beyond its process, and the records of those that are over; and that
shows people those that are on."""

import time
from collections.abc import Callable, Container
from pathlib import Path

from oneproxy.call_views import LiveCalls
from oneproxy.engine.call import Call
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Hold
from oneproxy.ipc.calls import AskCalls, CallsFound, EndCall, NodeEnded
from oneproxy.policy.order import Order
from oneproxy.records.keeper import Keeper
from oneproxy.records.segments import folder_of
from oneproxy.records.step import Records
from oneproxy.site.model import Machine, Site
from oneproxy.transport.driver import Driver
from oneproxy.trunks.step import TrunkStep


class CallWork:
    """The journal of one engine's calls.

    index: of the node on this machine. served: the domains. hold_again: as of `congestion.limits.Limits`.
    """

    def __init__(
        self,
        machine: Machine,
        index: int,
        engine: Engine,
        policy: Order,
        served: Container[str],
        driver: Driver,
        hold_again: Callable[[str, float], Hold | None],
    ) -> None:
        self._driver = driver
        self._engine = engine
        self._following = engine.following
        journal = folder_of(str(Path(machine.last_site).parent), machine.name, index)
        node = f"{machine.name}-{index}"
        self._keeper = Keeper(journal, self._following.standing, node, served, self._shift)
        self._following.keeper = self._keeper
        self._following.hold_again = hold_again
        self._live = LiveCalls(
            self._following, self._end, self._keeper.party_of, served, driver.now, self._shift
        )
        for step in policy.steps:
            if isinstance(step, Records):
                step.writer = self._keeper
            elif isinstance(step, TrunkStep):
                self._trunks = step.trunks

    @property
    def lost(self) -> int:
        """Records that are in no journal."""
        return self._keeper.lost

    def take(self, site: Site) -> None:
        """The site has changed: how much the journal may have, and what becomes of it beyond that."""
        self._keeper.bound(site.cdr.journal_mb << 20, site.cdr.when_full)

    def has_no_room(self) -> bool:
        """Whether there is no room for the record of another call."""
        return self._keeper.is_full

    def resume(self, site: Site) -> None:
        """Follow again what was on when the process before this one ended; before anything is received."""
        self._keeper.start(self._driver.now(), self._following.adopt, self._trunks.adopt)
        self.take(site)
        self._driver.ahead = self._keeper.write_ahead

    def stop(self) -> None:
        """The node ends: what is to last is written."""
        self._keeper.close()

    async def answer(self, question: AskCalls | EndCall) -> CallsFound | NodeEnded:
        """What people ask of the calls that are on."""
        return await self._live.answer(question)

    def _end(self, call: Call, reason: str) -> None:
        self._engine.end(self._driver.now(), call, reason)
        self._driver.flush_soon()

    def _shift(self) -> float:
        return time.time() - self._driver.now()
