"""The node's part that answers what the recorder is asked and only nodes know: bans, gateways, limits,
what would become of a call, which calls are on, and how it fares.

Bans are in the order of their names already, and a page of them is read at once. Where thousands
are over, they are let go of a few in each turn of the loop: no message waits for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol

from oneproxy.access.bans import Ban
from oneproxy.engine.flow import Listener
from oneproxy.ipc.calls import AskCalls, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.desk import (
    PAGE,
    AskExplain,
    AskGateways,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    GatewaysFound,
    Inquiry,
    LiftBan,
    ListBans,
    NodeExplained,
    NodeHealth,
    NodeQuestion,
    Report,
)
from oneproxy.ipc.limits import AskLimits, LimitsFound
from oneproxy.policy.explaining import Explainer, Question, make_ask
from oneproxy.policy.live import on_wire
from oneproxy.policy.order import Order


class Banned(Protocol):
    """The bans of a node: `access.bans.Bans`."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def page(self, after: str, most: int) -> list[Ban]:
        """Those behind a name, in the order of their names."""
        ...

    def lift(self, name: str) -> bool:
        """End one; whether there was one."""
        ...

    def expire(self, now: float) -> bool:
        """Let go of some of those that are over; whether there are more."""
        ...


class Inquiries:
    """Answers inquiries about `bans`, and by `health`, `gateways`, `explain`, `limits` and `calls`.

    report: hands an answer to the recorder.
    """

    def __init__(
        self,
        bans: Banned,
        health: Callable[[], NodeHealth],
        clock: Callable[[], float],
        report: Callable[[Report], None],
        gateways: Callable[[], GatewaysFound],
        explain: Callable[[AskExplain], NodeExplained],
        limits: Callable[[], Awaitable[LimitsFound]],
        calls: Callable[[AskCalls | EndCall], Awaitable[CallsFound | NodeEnded]],
    ) -> None:
        """clock: seconds since the epoch."""
        self._bans = bans
        self._health = health
        self._clock = clock
        self._report = report
        self._gateways = gateways
        self._explain = explain
        self._limits = limits
        self._calls = calls
        self._listing: set[asyncio.Task[None]] = set()

    def take(self, inquiry: Inquiry) -> None:
        """An inquiry came; its report follows."""
        question: NodeQuestion = inquiry.question
        match question:
            case ListBans(after):
                if self._bans.expire(self._clock()):
                    self._go_on(self._list(inquiry.number, after))
                else:
                    self._report(Report(inquiry.number, page_of(self._bans, after)))
            case LiftBan(name):
                # An account is banned by its AoR as requests name it, which people write otherwise.
                lifted = self._bans.lift(name) or self._bans.lift(on_wire(name))
                self._report(Report(inquiry.number, BanLifted(int(lifted))))
            case AskHealth():
                self._report(Report(inquiry.number, self._health()))
            case AskGateways():
                self._report(Report(inquiry.number, self._gateways()))
            case AskLimits():
                self._go_on(self._tell_limits(inquiry.number))
            case AskExplain():
                self._report(Report(inquiry.number, self._explain(question)))
            case AskCalls() | EndCall():
                self._go_on(self._of_calls(inquiry.number, question))

    def _begin(self, answering: Coroutine[None, None, None]) -> None:
        """Answer in more than one turn of the loop."""
        task = asyncio.create_task(answering)
        self._listing.add(task)
        task.add_done_callback(self._listing.discard)

    async def _of_calls(self, number: int, question: AskCalls | EndCall) -> None:
        self._report(Report(number, await self._calls(question)))

    def _go_on(self, work: Coroutine[None, None, None]) -> None:
        """What takes several turns of the loop."""
        task = asyncio.create_task(work)
        self._listing.add(task)
        task.add_done_callback(self._listing.discard)

    async def _tell_limits(self, number: int) -> None:
        self._report(Report(number, await self._limits()))

    async def _list(self, number: int, after: str) -> None:
        # Nobody could tell us: each turn of the loop ends some.
        while self._bans.expire(self._clock()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        self._report(Report(number, page_of(self._bans, after)))


def page_of(bans: Banned, after: str) -> BansFound:
    """The next PAGE of bans behind a name, in the order of their names."""
    page = bans.page(after, PAGE)
    return BansFound([BanFound(ban.name, ban.kind, ban.since, ban.until, ban.why) for ban in page])


def explain_to_people(
    order: Order | None, question: AskExplain, listeners: Sequence[Listener], now: float
) -> NodeExplained:
    """What `order` would do with a request at this moment; None: there is no site yet."""
    if order is None:
        return NodeExplained([], "this node has no site yet")
    asked = Question(question.from_, question.to, question.source, question.transport, question.method)
    ask = make_ask(asked, listeners, now)
    if isinstance(ask, str):
        return NodeExplained([], "", fault=ask)
    told = Explainer(order).explain(ask)
    return NodeExplained(told.steps, told.verdict, told.gateway, told.targets, told.status)
