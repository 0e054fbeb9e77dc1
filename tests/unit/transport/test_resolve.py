"""Names of next hops: asked for once, bounded, and never in the way of messages."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from oneproxy.transport import resolve
from oneproxy.transport.resolve import Address, Resolver

FOUND = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 0))]


class Names:
    """The system's resolver, stubbed: what it was asked, and what it answers when let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: object = FOUND) -> None:
        self.asked: list[tuple[object, object]] = []
        self.answer = answer
        self.open = asyncio.Event()
        self.open.set()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._ask)

    async def _ask(self, host: str, _port: object, *, family: int, type: int) -> object:
        assert type == socket.SOCK_DGRAM
        self.asked.append((host, family))
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def settled() -> None:
    """Until everything that is ready has run."""
    for _ in range(5):
        await asyncio.sleep(0)


def play(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_a_known_name_answers_at_once_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        names, resolver = Names(monkeypatch), Resolver()
        answers: list[Address | None] = []
        assert resolver.resolve(100.0, "a.example", 5060, False, answers.append)
        assert answers == []
        await settled()
        assert resolver.resolve(129.9, "a.example", 5070, False, answers.append)
        assert answers == [("192.0.2.7", 5060), ("192.0.2.7", 5070)]
        assert resolver.resolve(130.0, "a.example", 5080, False, answers.append)
        assert len(answers) == 2
        await settled()
        assert (answers[2], names.asked) == (("192.0.2.7", 5080), [("a.example", socket.AF_INET)] * 2)

    play(test)


def test_all_that_wait_for_a_name_are_answered_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        names, resolver = Names(monkeypatch), Resolver()
        names.open.clear()
        order: list[Address | None] = []
        for port in range(1, 6):
            assert resolver.resolve(0.0, "a.example", port, False, order.append)
            await settled()
        names.open.set()
        await settled()
        assert order == [("192.0.2.7", port) for port in range(1, 6)]
        assert len(names.asked) == 1

    play(test)


def test_the_two_families_of_a_name_are_two_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        names, resolver = Names(monkeypatch), Resolver()
        answers: list[Address | None] = []
        assert resolver.resolve(0.0, "a.example", 5060, False, answers.append)
        await settled()
        names.answer = [(socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::7", 0, 0, 0))]
        assert resolver.resolve(0.0, "a.example", 5060, True, answers.append)
        await settled()
        assert answers == [("192.0.2.7", 5060), ("2001:db8::7", 5060, 0, 0)]
        assert [family for _, family in names.asked] == [socket.AF_INET, socket.AF_INET6]

    play(test)


@pytest.mark.parametrize(
    "failure",
    [
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        TimeoutError("too late"),
        UnicodeError("label empty or too long"),
        ValueError("embedded null byte"),
        [],
    ],
)
def test_a_name_that_fails_is_none_for_a_while_and_asked_again_later(
    monkeypatch: pytest.MonkeyPatch, failure: object
) -> None:
    async def test() -> None:
        names, resolver = Names(monkeypatch, failure), Resolver()
        answers: list[Address | None] = []
        assert resolver.resolve(0.0, "a.example", 5060, False, answers.append)
        await settled()
        assert resolver.resolve(29.0, "a.example", 5060, False, answers.append)
        assert (answers, len(names.asked)) == ([None, None], 1)
        names.answer = FOUND
        assert resolver.resolve(31.0, "a.example", 5060, False, answers.append)
        await settled()
        assert (answers[2], len(names.asked)) == (("192.0.2.7", 5060), 2)

    play(test)


def test_names_that_real_resolvers_choke_on_have_no_address() -> None:
    async def test() -> None:
        resolver = Resolver()
        answers: list[Address | None] = []
        for host in ("a" * 64 + ".example", "a..example"):
            assert resolver.resolve(0.0, host, 5060, False, answers.append)
        while len(answers) < 2:
            await asyncio.sleep(0.01)
        assert answers == [None] * 2

    play(test)


def test_a_name_that_hangs_holds_no_other_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        names, resolver = Names(monkeypatch), Resolver()
        answers: list[Address | None] = []
        assert resolver.resolve(0.0, "known.example", 5060, False, answers.append)
        await settled()
        names.open.clear()
        assert resolver.resolve(1.0, "hangs.example", 5060, False, answers.append)
        assert resolver.resolve(1.0, "known.example", 5061, False, answers.append)
        assert answers == [("192.0.2.7", 5060), ("192.0.2.7", 5061)]
        names.open.set()
        await settled()
        assert answers[2:] == [("192.0.2.7", 5060)]

    play(test)


def test_names_and_messages_that_wait_are_bounded_and_room_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        monkeypatch.setattr(resolve, "_ASKED", 3)
        monkeypatch.setattr(resolve, "_WAITING", 2)
        names, resolver = Names(monkeypatch), Resolver()
        names.open.clear()
        answers: list[Address | None] = []
        hosts = [f"{number}.example" for number in range(5)]
        taken = [resolver.resolve(0.0, host, 1, False, answers.append) for host in hosts]
        assert taken == [True, True, True, False, False]
        taken = [resolver.resolve(0.0, hosts[0], port, False, answers.append) for port in (2, 3)]
        assert taken == [True, False]
        names.open.set()
        await settled()
        assert len(answers) == 4
        assert resolver.resolve(0.0, hosts[4], 1, False, answers.append)
        await settled()
        assert len(answers) == 5

    play(test)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(resolve, "_NAMES", 4)
        Names(monkeypatch)
        resolver = Resolver()
        answers: list[Address | None] = []
        for number in range(20):
            assert resolver.resolve(0.0, f"{number}.example", 5060, False, answers.append)
            await settled()
            assert len(resolver._cache) <= 4
        assert answers == [("192.0.2.7", 5060)] * 20

    play(test)
