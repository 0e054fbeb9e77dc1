"""The addresses of named hops (RFC 3263): found from memory, or beside the loop.

A message never waits for a name server, and neither do the messages behind it: only what
goes to a name that is not known waits, for that name's answers and for `FOUND_BY_S` at most.
"""

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from oneproxy.engine.flow import Found, Hop
from oneproxy.transport.answers import QUESTION_S, Answers
from oneproxy.transport.dns import FAILED, Answer, Can, Question, Search, locate

#: From asking to the addresses, whatever the name servers do: a caller must get an answer.
#: More than one question has, so that its failure is known, and remembered, by then.
FOUND_BY_S: Final = QUESTION_S + 0.5
#: How long the other answers are waited for when one is there: a name server that is slow
#: with the address of a second server, or with AAAA, must not hold up a call to the first.
#: RFC 8305 3 has 50 ms, between families; servers of a better priority are worth more.
PATIENCE_S: Final = 0.5

#: Hops being looked for at once, and messages that wait for one of them.
HOPS: Final = 64
WAITING: Final = 1024
#: Addresses for one hop.
ADDRESSES: Final = 16

#: How long an address that failed comes last, and how many of them are remembered.
_LAST_S: Final = 30
_LASTS: Final = 1024

_Step = list[Hop] | tuple[Question, ...]


class Names:
    """Finds the addresses of hops.

    can: whether a listener can reach an IP version (4 or 6) over a transport. servers: IP
    address and port of name servers; none for those of the system. hosts: a file of local
    names (hosts(5)), which need no name server. seed: of the draws among equal servers.
    Names are taken whole: the search list of resolv.conf is not for SIP URIs.
    """

    def __init__(
        self,
        can: Can,
        servers: Sequence[tuple[str, int]] = (),
        hosts: str = "/etc/hosts",
        seed: int | None = None,
    ) -> None:
        self._can = can
        self._random = Random(seed)
        self._waiting: dict[Hop, list[Found]] = {}
        self._searches: set[asyncio.Task[None]] = set()
        #: Address to the time until which it comes last.
        self._last: dict[Hop, float] = {}
        self.answers = Answers(servers, hosts)
        #: Called when all who waited for one hop were told: what they put out can be sent.
        self.on_found: Callable[[], None] = _nothing
        #: Messages for which there was no room to wait.
        self.refused = 0

    def start(self) -> None:
        """Get ready, beside the loop; without it the first search does that."""
        self.answers.start()

    async def close(self) -> None:
        """Stop asking. Whoever waits hears nothing any more."""
        searches = list(self._searches)
        for task in searches:
            task.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        self._waiting.clear()
        await self.answers.close()

    def find(self, now: float, hop: Hop, found: Found) -> list[Hop] | None:
        """The addresses of `hop` in the order in which to try them, 16 at most.

        [] where there are none, or where too many wait already and nothing was known lately.
        None where that takes time: then `found` is called once, later; for one hop in the
        order of asking.
        """
        transport, host, port = hop
        hop = (transport, host.removesuffix(".").lower(), port)
        waiting = self._waiting.get(hop)
        if waiting is not None:
            if len(waiting) >= WAITING:
                return self._no_room(now, hop)
            waiting.append(found)
            return None
        self.answers.set_time(now)
        search = locate(hop, self._can, self._random)
        step = self._advance(now, search, None)
        if isinstance(step, list):
            return step
        if len(self._waiting) >= HOPS:
            return self._no_room(now, hop)
        self._waiting[hop] = [found]
        task = get_running_loop().create_task(self._search(hop, search, step))
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)
        return None

    def failed(self, now: float, hop: Hop) -> None:
        """Note that an address did not answer: for 30 s it comes last among its siblings.

        hop: one of those that `find` has given.
        """
        self._last.pop(hop, None)
        if len(self._last) >= _LASTS:
            del self._last[next(iter(self._last))]
        self._last[hop] = now + _LAST_S

    def _advance(self, now: float, search: Search, answers: tuple[Answer, ...] | None) -> _Step:
        """The addresses, or the questions of which memory does not answer every one."""
        recall = self.answers.recall
        try:
            questions = next(search) if answers is None else search.send(answers)
            while True:
                known: list[Answer] = []
                for question in questions:
                    answer = recall(now, question)
                    if answer is None:
                        return questions
                    known.append(answer)
                questions = search.send(tuple(known))
        except StopIteration as end:
            return self._ranked(now, end.value)

    def _no_room(self, now: float, hop: Hop) -> list[Hop]:
        """What can be said at once, so that a flood of slow names stops no call to known ones."""
        self.refused += 1
        search = locate(hop, self._can, self._random)
        try:
            questions = next(search)
            while True:
                questions = search.send(tuple(self.answers.at_once(now, one) for one in questions))
        except StopIteration as end:
            return self._ranked(now, end.value)

    def _ranked(self, now: float, hops: list[Hop]) -> list[Hop]:
        last = self._last
        if last and not last.keys().isdisjoint(hops):
            # The sort is stable: within each half the order stays.
            hops.sort(key=lambda hop: last.get(hop, now) > now)
        return hops[:ADDRESSES]

    async def _search(self, hop: Hop, search: Search, step: _Step) -> None:
        """Go on with a search for which memory was not enough, and tell those who wait."""
        hops: list[Hop] = []
        answers = self.answers
        found_by = get_running_loop().time() + FOUND_BY_S
        try:
            while isinstance(step, tuple):
                step = self._advance(answers.now(), search, await self._answers(step, found_by))
            hops = step
        except Exception:
            # Those who wait hear that there is nothing.
            answers.fault("name not looked up", host=hop[1])
        now = answers.now()
        for found in self._waiting.pop(hop):
            try:
                found(now, self._again(now, hop) or list(hops))
            except Exception:
                answers.fault("addresses not taken", host=hop[1])
        self.on_found()

    def _again(self, now: float, hop: Hop) -> list[Hop] | None:
        """The same addresses drawn anew: a crowd that waited is spread by weight too."""
        step = self._advance(now, locate(hop, self._can, self._random), None)
        return step if isinstance(step, list) else None

    async def _answers(self, questions: tuple[Question, ...], found_by: float) -> tuple[Answer, ...]:
        """Answers to all; the last ones to come are not waited for for ever."""
        loop = get_running_loop()
        answers = self.answers
        known = {question: answers.recall(answers.now(), question) for question in questions}
        tasks = {
            question: task
            for question, answer in known.items()
            if answer is None and (task := answers.ask(question)) is not None
        }
        until = found_by
        pending = set(tasks.values())
        if any(answer is not None and answer.found for answer in known.values()):
            until = min(until, loop.time() + PATIENCE_S)
        while pending and (left := until - loop.time()) > 0:
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result().found for task in done):
                until = min(until, loop.time() + PATIENCE_S)
        for question, task in tasks.items():
            if task.done():
                known[question] = task.result()
        now = answers.now()
        return tuple(
            answer or answers.outdated(now, question) or FAILED for question, answer in known.items()
        )


def _nothing() -> None:
    pass
