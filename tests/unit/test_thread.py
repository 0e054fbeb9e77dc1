"""The thread for what blocks."""

import asyncio
import threading

import pytest

from oneproxy.thread import Thread


def test_work_is_done_in_one_thread_in_its_order_and_awaited_in_the_loop() -> None:
    done: list[tuple[int, str]] = []

    def work(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return 2 * number

    async def scene() -> list[int]:
        thread = Thread("database")
        results = await asyncio.gather(*[thread.do(work, number) for number in range(3)])
        thread.close()
        return results

    assert asyncio.run(scene()) == [0, 2, 4]
    assert done == [(number, "database") for number in range(3)]


def test_what_work_raises_is_raised_where_it_is_awaited_and_the_next_is_done() -> None:
    async def scene() -> int:
        thread = Thread("database")
        with pytest.raises(ValueError, match="invalid literal"):
            await thread.do(int, "odd")
        found: int = await thread.do(int, "7")
        thread.close()
        return found

    assert asyncio.run(scene()) == 7


def test_closing_waits_for_what_was_given_and_for_nobody_who_waits() -> None:
    gate = threading.Event()
    done: list[int] = []

    async def scene() -> None:
        thread = Thread("database")
        first = thread.do(gate.wait, 10)
        thread.do(done.append, 1)
        first.cancel()
        gate.set()
        thread.close()
        assert done == [1]
        await asyncio.sleep(0)

    asyncio.run(scene())


def test_work_that_ends_after_its_loop_is_heard_of_by_nobody() -> None:
    gate = threading.Event()

    async def scene() -> Thread:
        thread = Thread("database")
        thread.do(gate.wait, 10)
        return thread

    thread = asyncio.run(scene())
    gate.set()
    thread.close()
    assert not thread._thread.is_alive()
