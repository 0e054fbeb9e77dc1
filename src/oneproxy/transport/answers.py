"""What name servers said, kept for as long as it holds; and the questions under way.

RFC 2308: that a name has no such records is kept too. RFC 8767: where no server answers,
records that ran out are used for an hour more. A name server that is down must not stop
calls to gateways that have not moved.
"""

import asyncio
import importlib
import os
from asyncio import get_running_loop
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from oneproxy.transport.dns import FAILED, Answer, Question, local_answer, parse_hosts

if TYPE_CHECKING:
    from oneproxy.transport.nameservers import NameServers

_log: Final = structlog.get_logger()

#: Answers kept, the oldest out first, and questions under way: each of them has a socket,
#: and connections need some too.
KEPT: Final = 4096
ASKED: Final = 256

#: The lowest and the highest time to live, of records and of their absence.
_FOUND_S: Final = (5, 3600)
_NOTHING_S: Final = (1, 60)
#: After a question that no server answered, the next one waits so long (RFC 2308 7).
_FAILED_S: Final = 5
_STALE_S: Final = 3600
#: What the hosts file says is kept so long, and so it is looked at no oftener.
_LOCAL_S: Final = 10
_WARNED_S: Final = 60
_FAULTS_LOGGED: Final = 20

#: How long one question may take, all servers and tries together.
QUESTION_S: Final = 3.5


class _Known:
    """An answer that is kept. retry_at: 0, or when to ask next after the servers failed."""

    __slots__ = ("answer", "retry_at", "until")

    def __init__(self, answer: Answer, until: float) -> None:
        self.answer = answer
        self.until = until
        self.retry_at = 0.0


class Answers:
    """A cache of answers over name servers and the hosts file, which it reads again by itself."""

    def __init__(self, servers: Sequence[tuple[str, int]], hosts: str) -> None:
        """servers: IP addresses and ports; none for the system's. hosts: path of the file."""
        self._servers = tuple(servers)
        self._hosts_file = hosts
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._hosts_seen: tuple[int, int, int] | None = None
        self._look_at = 0.0
        self._known: dict[Question, _Known] = {}
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._loading: asyncio.Task[NameServers] | None = None
        self._warn_at = 0.0
        #: What is added to the loop's clock to be in the time of those who ask.
        self._offset = 0.0
        #: Questions that went to name servers, those that none of them answered, and answers
        #: given although they had run out.
        self.asked = 0
        self.failures = 0
        self.stale = 0
        self.faults = 0

    def start(self) -> None:
        """Begin to load what speaks to name servers, in a thread: that takes a moment."""
        if self._loading is None:
            self._loading = get_running_loop().create_task(self._load())

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    def set_time(self, now: float) -> None:
        """Take over the time of those who ask, in seconds; it goes on as the loop's does."""
        self._offset = now - get_running_loop().time()

    def now(self) -> float:
        """The time of those who ask."""
        return get_running_loop().time() + self._offset

    def recall(self, now: float, question: Question) -> Answer | None:
        """The answer if it is known, or one that ran out while no server answers; or None."""
        known = self._known.get(question)
        if known is None:
            return None
        if now < known.until:
            return known.answer
        if not known.retry_at:
            return None
        answer = self.outdated(now, question)
        if answer is not None and now >= known.retry_at:
            # Only the first call waited to see that the servers fail. Later tries are made
            # beside the calls.
            self.ask(question)
        return answer

    def outdated(self, now: float, question: Question) -> Answer | None:
        """Records that ran out no longer than an hour ago, or None."""
        known = self._known.get(question)
        if known is None or not known.answer.found or now >= known.until + _STALE_S:
            return None
        self.stale += 1
        return known.answer

    def at_once(self, now: float, question: Question) -> Answer:
        """What can be said without waiting; records that ran out are renewed meanwhile."""
        answer = self.recall(now, question)
        if answer is None:
            answer = self.outdated(now, question)
            if answer is None:
                return FAILED
            self.ask(question)
        return answer

    def ask(self, question: Question) -> asyncio.Task[Answer] | None:
        """The task that asks, of its own or somebody else's; None if too many are under way."""
        task = self._asking.get(question)
        if task is None and len(self._asking) < ASKED:
            task = self._asking[question] = get_running_loop().create_task(self._ask(question))
        return task

    def fault(self, event: str, **what: str) -> None:
        """Log the exception being handled, our own fault: the first ones, and count the others."""
        self.faults += 1
        if self.faults <= _FAULTS_LOGGED:
            _log.exception(event, **what)

    async def _ask(self, question: Question) -> Answer:
        """One answer, which is kept; at most for `QUESTION_S`, and a failure is an answer."""
        reply: tuple[Answer, int] | None = None
        try:
            self._look()
            local = local_answer(question, self._hosts)
            if local is not None:
                self._keep(question, local, _LOCAL_S)
                return local
            self.start()
            assert self._loading is not None
            servers = await asyncio.shield(self._loading)
            self.asked += 1
            reply = await servers.ask(question, QUESTION_S)
        except Exception:
            # The call goes without.
            self.fault("question not asked", name=question.name, kind=question.kind)
        finally:
            del self._asking[question]
        if reply is None:
            return self._fail(question)
        answer, ttl = reply
        shortest, longest = _FOUND_S if answer.found else _NOTHING_S
        self._keep(question, answer, min(max(ttl, shortest), longest))
        return answer

    def _fail(self, question: Question) -> Answer:
        self.failures += 1
        now = self.now()
        if now >= self._warn_at:
            self._warn_at = now + _WARNED_S
            _log.warning("no name server answers", name=question.name, kind=question.kind)
        answer = self.outdated(now, question)
        if answer is None:
            self._keep(question, FAILED, _FAILED_S)
            return FAILED
        self._known[question].retry_at = now + _FAILED_S
        return answer

    def _keep(self, question: Question, answer: Answer, seconds: float) -> None:
        self._known.pop(question, None)
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[question] = _Known(answer, self.now() + seconds)

    def _look(self) -> None:
        """Read the hosts file again where it changed."""
        now = get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + _LOCAL_S
        try:
            status = os.stat(self._hosts_file)
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen != self._hosts_seen:
                with open(self._hosts_file, encoding="utf-8", errors="replace") as file:
                    self._hosts = parse_hosts(file.read())
                self._hosts_seen = seen
        except FileNotFoundError:
            # No hosts file is no fault.
            self._hosts = {}
            self._hosts_seen = None
        except OSError:
            # What was read serves on, and it is tried again.
            return

    async def _load(self) -> "NameServers":
        await asyncio.to_thread(importlib.import_module, "oneproxy.transport.nameservers")
        from oneproxy.transport.nameservers import NameServers  # noqa: PLC0415

        return NameServers(self._servers)
