"""What the recorder has its databases do, in its thread and beside it."""

from collections.abc import Sequence
from typing import Protocol

from oneproxy import reads
from oneproxy.registrar.bindings import Change
from oneproxy.store.work import Verdict


class Database(reads.Database, Protocol):
    """What the recorder has done in its thread; `store.work.Work` is the one that lasts."""

    #: Whether the last thing that it was to do failed for want of a database.
    away: bool

    def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict]:
        """Commit batches in one transaction."""
        ...

    def probe(self) -> None:
        """See whether the database can be used."""
        ...

    def sweep(self, now: float) -> bool | str:
        """Delete some of what expired."""
        ...


class Aside(Protocol):
    """Commits groups while the loop goes on; `store.direct.Direct` is the one that lasts."""

    async def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict] | None:
        """Commit batches in one transaction; None: the thread has to do it, perhaps again."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...
