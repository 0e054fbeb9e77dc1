"""What the recorder begins with: its databases, or the last site known where they are away.

opened      the databases, migrated; the site of the file that `run` was given, if that has
            changed, as a new version
unreachable the file that keeps the last site known: nodes get that, nothing is stored, and
            the databases are opened when they are there
otherwise   a mistake of the configuration, which ends the start with one line
"""

import time
from collections.abc import Sequence

import structlog

from oneproxy.ipc.messages import Start, Wanted
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.site import last
from oneproxy.site.model import Version
from oneproxy.store.database import StoreError, UnreachableError
from oneproxy.store.site_rows import FileOf
from oneproxy.store.sites import Sites, Stale
from oneproxy.store.work import Away, Verdict, Work

log = structlog.get_logger()


class Unopened:
    """Stands in for databases that could not be reached at the start, for the same reason ever."""

    #: Until it is replaced.
    away = True

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict]:
        """Nothing is stored."""
        return [Away(self._reason)] * len(group)

    def page(self, now: float, after: str) -> tuple[list[tuple[str, Binding]], bool] | str:
        """Nothing can be read."""
        return self._reason

    def fetch(self, now: float, aors: Sequence[str]) -> list[tuple[str, Binding]] | str:
        """Nothing can be read."""
        return self._reason

    def probe(self) -> None:
        """It is opened elsewhere."""

    def sweep(self, now: float) -> bool | str:
        """Nothing is there to be swept."""
        return True


class Begun:
    """What the recorder starts with.

    work: the databases. kept: the last site known, where these could not be reached for this
    reason. asked: whether the site that runs is the one that Start brought.
    """

    def __init__(self, start: Start) -> None:
        """Raises StoreError where it cannot start."""
        machine = start.machine
        self.start = start
        self.work = Work(machine.proxy_database, machine.system_database, machine.keep_versions)
        self.kept: last.LastSite | None = None
        self.reason = ""
        self.asked = False
        try:
            self.open()
        except UnreachableError as error:
            kept = last.read(machine.last_site)
            if isinstance(kept, str):
                way_out = f"no site is kept in {machine.last_site} to start with ({kept})"
                raise StoreError(f"{error}; {way_out}") from None
            self.kept, self.reason = kept, str(error)
            self.secret = machine.farm_key.encode() or kept.secret
            log.warning("started without the database", reason=self.reason, version=kept.version.version)

    def open(self) -> None:
        """Open the databases, and apply the site that Start brought. Raises StoreError."""
        secret = self.work.open(self.start.machine.farm_key)
        if self.kept is not None and secret != self.secret:
            log.warning("farm secret changed", consequence="nodes have the old one until they restart")
        self.secret = secret
        if self.start.site is not None:
            self.asked = apply(self.work.sites, self.start.site)


def apply(sites: Sites, wanted: Wanted) -> bool:
    """Apply the site of a file where it has changed; whether that is the site that runs.

    Raises StoreError.
    """
    file = FileOf(wanted.file, wanted.digest)
    if not sites.is_applied(file) and not (wanted.first_only and sites.latest().version):
        found = last.read(wanted.path)
        if isinstance(found, str):
            raise StoreError(f"cannot read {wanted.path}: {found}")
        entries = {(section, key): value for section, key, value in found.rows}
        comment = "" if wanted.first_only else f"from {wanted.file}"
        written = sites.replace(entries, Version(0, time.time(), wanted.who, comment), file)
        if isinstance(written, Stale):
            raise UnreachableError("others change the site faster than it can be read")
        log.info("site applied", file=wanted.file, version=written.version.version)
    return sites.runs(file)
