"""PostgreSQL is stopped for some seconds under load, and started again."""

from pathlib import Path

import pytest

from postgres import Cluster
from system.outage import go_through
from system.server import Server
from system.sipp import undisturbed

USERS = [f"user{number}" for number in range(200)]


@pytest.mark.parametrize("without", ["refuse", "memory"])
def test_calls_go_on_without_a_database_and_afterwards_it_has_what_memory_has(
    postgres: Cluster, tmp_path: Path, without: str
) -> None:
    url = postgres.database()
    more = f'[registrar]\nwithout_database = "{without}"'
    with Server(tmp_path, subscribers={"a": "b"}, more=more, database=url) as server:
        # A quarter is registered when it goes: the others are new to it.
        outcome = go_through(server, postgres, url, tmp_path, USERS, 4.0, 50)
    assert undisturbed(outcome.calls, 160), outcome.calls
    answers = outcome.answers
    assert sum(answers.values()) == outcome.sent.total()
    assert {status for phase, status in answers if phase != "away"} == {200}
    assert answers["away", 200 if without == "memory" else 503] >= 150
    if without == "memory":
        assert answers["away", 503] == 0
    assert outcome.differences() == []
    assert "last@oneproxy.test" in outcome.stored
