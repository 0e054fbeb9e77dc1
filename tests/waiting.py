"""Waiting for what happens, in tests: its end is the event, and its time is only for what never comes."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

#: Longer than anything takes on a machine that is busy with other things.
PATIENCE_S: Final = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "it never happened"
        await asyncio.sleep(0.001)


def pass_time(seconds: float) -> None:
    """Have the running loop believe that time has passed: whatever was due meanwhile is due now."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    loop.time = lambda: clock() + seconds  # type: ignore[method-assign]


def until_now(condition: Callable[[], object], told: Callable[[], object] = str) -> None:
    """Wait, without a loop, until `condition` holds; told: what to say where it never does."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, f"it never happened: {told()}"
        time.sleep(0.005)
