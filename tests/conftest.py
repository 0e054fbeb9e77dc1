"""What tests of several rooms share: databases, of both kinds; and what none of them may leave behind."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from postgres import Cluster, programs

#: Here and not beside the system tests, whose conftest only those load that collect them.
pytest_plugins = ("told",)

#: A run of the tests is like the one before, on a machine that is slow too: what a new example would
#: show is nothing that the change at hand has done. `pytest --hypothesis-profile=search` looks for it.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See that each test has a name of its own: of those that share one pytest-xdist runs the first alone."""
    assert len({item.nodeid for item in items}) == len(items)


def pytest_collection_finish() -> None:
    """What stands now stays: it has not to be looked through after every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Find what a test left open while it is that test's fault: warnings are errors here.

    What is neither closed nor used is found when garbage is collected, mostly in another test.
    With what outlives the test put aside it costs a millisecond, and saves that the garbage of
    all tests is looked for among all that there is.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of our own."""
    found = programs()
    if found is None:
        pytest.fail(
            "no PostgreSQL server under /usr/lib/postgresql: `make test` installs one (apt: postgresql)"
        )
    cluster = Cluster(found)
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new and empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/oneproxy.db"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.database()
