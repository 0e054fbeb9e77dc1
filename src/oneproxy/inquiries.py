"""The node's part that answers what the recorder is asked and only nodes know: bans, and how it fares.

A long list of bans is put in order in a thread: 200,000 take a tenth of a second, and no
message waits for that.
"""

import asyncio
from collections.abc import Callable
from heapq import nsmallest
from typing import Final, Protocol

from oneproxy.access.bans import Ban
from oneproxy.ipc.desk import (
    PAGE,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    Inquiry,
    LiftBan,
    ListBans,
    NodeHealth,
    NodeQuestion,
    Report,
)
from oneproxy.policy.live import on_wire

#: Bans that are put in order at once; one of more goes into the thread.
AT_ONCE: Final = 1_000


class Banned(Protocol):
    """The bans of a node: `access.bans.Bans`."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def all(self) -> list[Ban]:
        """All of them."""
        ...

    def lift(self, name: str) -> bool:
        """End one; whether there was one."""
        ...

    def expire(self, now: float) -> None:
        """Let go of those that are over."""
        ...


class Inquiries:
    """Answers inquiries about `bans`, and by `health`. report: hands an answer to the recorder."""

    def __init__(
        self,
        bans: Banned,
        health: Callable[[], NodeHealth],
        clock: Callable[[], float],
        report: Callable[[Report], None],
    ) -> None:
        """clock: seconds since the epoch."""
        self._bans = bans
        self._health = health
        self._clock = clock
        self._report = report
        self._listing: set[asyncio.Task[None]] = set()

    def take(self, inquiry: Inquiry) -> None:
        """An inquiry came; its report follows."""
        question: NodeQuestion = inquiry.question
        match question:
            case ListBans(after):
                self._bans.expire(self._clock())
                if len(self._bans) > AT_ONCE:
                    task = asyncio.create_task(self._list(inquiry.number, after))
                    self._listing.add(task)
                    task.add_done_callback(self._listing.discard)
                else:
                    self._report(Report(inquiry.number, page_of(self._bans, after)))
            case LiftBan(name):
                # An account is banned by its AoR as requests name it, which people write otherwise.
                lifted = self._bans.lift(name) or self._bans.lift(on_wire(name))
                self._report(Report(inquiry.number, BanLifted(int(lifted))))
            case AskHealth():
                self._report(Report(inquiry.number, self._health()))

    async def _list(self, number: int, after: str) -> None:
        self._report(Report(number, await asyncio.to_thread(page_of, self._bans, after)))


def page_of(bans: Banned, after: str) -> BansFound:
    """The next PAGE of bans behind a name, in the order of their names."""
    # A copy comes first, so that others may begin and end meanwhile.
    behind = (ban for ban in bans.all() if ban.name > after)
    first = nsmallest(PAGE, behind, key=_name)
    return BansFound([BanFound(ban.name, ban.kind, ban.since, ban.until, ban.why) for ban in first])


def _name(ban: Ban) -> str:
    return ban.name
