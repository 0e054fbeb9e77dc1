"""What tests of several rooms share: databases, of both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres import Cluster, programs


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
