"""The simulator of bench/trunks: the same luck for all, and a check that can fail."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "trunks"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return import_module("table")


def short(table: Any, name: str, **changes: float) -> Any:
    (scenario,) = [one for one in table.SCENARIOS if one.name == name]
    return scenario._replace(lasts_s=200.0, **changes)


def test_a_seed_gives_the_same_figures_again(table: Any) -> None:
    scenario = short(table, "flapping")
    found = [table.figures(scenario, "OneProxy", range(3, 4)) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0] != table.figures(scenario, "OneProxy", range(4, 5))


@pytest.mark.parametrize("name", ["failing", "flapping", "only OPTIONS"])
def test_oneproxy_is_the_best_or_close_to_it(table: Any, name: str) -> None:
    scenario = short(table, name)
    found = {way: table.figures(scenario, way, range(1, 3)) for way in table.WAYS}
    assert table.worse(found) == []


def test_gateways_of_different_size_get_no_call_beyond_it(table: Any) -> None:
    scenario = short(table, "capacities", per_s=130 / 30)
    assert table.figures(scenario, "OneProxy", range(1, 4)).overflows == 0
    assert table.figures(scenario, "random", range(1, 4)).overflows > 0


def test_what_is_worse_than_the_best_is_named(table: Any) -> None:
    best = table.Figures(1.0, 60.0, 200.0, 0)
    assert table.worse({"OneProxy": best, "random": best}) == []
    found = table.worse({"OneProxy": table.Figures(0.97, 62.0, 203.0, 3), "random": best})
    assert found == ["completed 0.970 of 1.000", "median_ms 62.0 of 60.0", "3 calls beyond max_calls"]
