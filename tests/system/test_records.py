"""Call records of a running OneProxy: one of each call, also of those that a crash falls into."""

import asyncio
import sqlite3
from pathlib import Path

from system.server import DOMAIN, Server
from two_ends import TwoEnds, judge
from waiting import until_now

MORE = '[cdr]\nenabled = true\n[[access]]\nsource = "127.0.0.1"\naction = "trust"\n'


def rows_of(database: Path) -> list[tuple[str, float, int]]:
    """Call-ID, start and duration of the records of answered calls."""
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT call_id, coalesce(duration_ms, -1) FROM cdr WHERE status < 300")
        return [(call_id, 0.0, duration_ms) for call_id, duration_ms in found]


async def calls_through(server: Server) -> TwoEnds:
    """Calls for three seconds, then `kill -9` of all processes with calls on, a start, and more calls."""
    async with TwoEnds(server.host, server.port, f"bob@{DOMAIN}", talk_s=(0.2, 4.0)) as ends:
        await ends.register()
        await ends.call(rate=60, seconds=3)
        await asyncio.to_thread(server.kill_all)
        await asyncio.to_thread(server.start)
        await ends.call(rate=60, seconds=2)
        assert await ends.settle() == 0
    return ends


def test_every_call_has_one_record_with_its_true_duration_though_all_processes_are_killed(
    tmp_path: Path,
) -> None:
    with Server(tmp_path, subscribers={"bob": "secret"}, more=MORE) as server:
        ends = asyncio.run(calls_through(server))
        answered = sum(1 for told in ends.calls.values() if told.ended_at)
        assert answered > 250
        database = tmp_path / "oneproxy.db"
        until_now(lambda: len(rows_of(database)) >= answered)
        assert judge(ends.calls, rows_of(database)) == []
        assert server.stop() == 0
    assert judge(ends.calls, rows_of(database)) == []
