"""The rows of the site: its versions and their entries, read and written.

Functions on an open connection; the caller commits. They raise SQLAlchemyError.
"""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    BindParameter,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from oneproxy.site.difference import Difference
from oneproxy.site.model import Entries, Key, Row, Version
from oneproxy.store.database import straight
from oneproxy.store.tables import site_entry, site_file, site_version

#: Any number that is ours: the advisory lock under which PostgreSQL gets a new version.
SITE_LOCK: Final = 0x0_4E_50_52_59
#: What PostgreSQL tells listeners of, when a version is committed.
CHANNEL: Final = "oneproxy_site"
#: How long a version stays that is not the newest any more, however few are to be kept.
KEPT_S: Final = 3600.0
#: Versions that are forgotten at once.
PRUNED: Final = 100
#: Before the first key.
START: Final[Key] = ("", "")


class FileOf(Struct, frozen=True):
    """A file that a site came from: the machine's name and the file's, and the hash of its site."""

    name: str
    digest: str


#: Of no version at all.
NOTHING: Final = Version(0, 0.0)

_entry = site_entry.c
_key = tuple_(_entry.section, _entry.key)
_behind = _key > tuple_(bindparam("after_section"), bindparam("after_key"))
_wanted: Final[BindParameter[int]] = bindparam("version")
_base: Final[BindParameter[int]] = bindparam("base")
_lives = and_(_entry.since <= _wanted, or_(_entry.until.is_(None), _entry.until > _wanted))
_whole = select(_entry.section, _entry.key, _entry.value).where(_lives)
_page = _whole.where(_behind).order_by(_entry.section, _entry.key).limit(bindparam("rows"))
_touched = or_(
    and_(_entry.since > _base, _entry.since <= _wanted), and_(_entry.until > _base, _entry.until <= _wanted)
)
_delta = (
    select(_entry.section, _entry.key, func.coalesce(func.max(case((_lives, _entry.value))), ""))
    .where(_touched, _behind)
    .group_by(_entry.section, _entry.key)
    .order_by(_entry.section, _entry.key)
    .limit(bindparam("rows"))
)
_end = (
    update(site_entry)
    .where(
        _entry.section == bindparam("ended_section"),
        _entry.key == bindparam("ended_key"),
        _entry.until.is_(None),
    )
    .values(until=bindparam("ended_at"))
)
_version = site_version.c
_latest = select(_version.version, _version.at, _version.who, _version.comment).order_by(
    _version.version.desc()
)


def lock(connection: Connection) -> None:
    """Begin the transaction that writes a version, alone, so that two writers take turns."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SITE_LOCK})


def latest(connection: Connection) -> Version:
    """The newest version; NOTHING where there is none."""
    found = connection.execute(_latest.limit(1)).first()
    return NOTHING if found is None else Version(*found)


def find(connection: Connection, version: int) -> Version | None:
    """The version of this number."""
    found = connection.execute(_latest.where(_version.version == version)).first()
    return None if found is None else Version(*found)


def list_versions(connection: Connection, most: int) -> list[Version]:
    """The newest versions, newest first, with what differs in each."""
    found = [Version(*row) for row in connection.execute(_latest.limit(most))]
    counts = {one.version: [0, 0] for one in found}
    for place, column in enumerate((_entry.since, _entry.until)):
        counted = select(column, func.count()).where(column.in_(list(counts))).group_by(column)
        for number, count in connection.execute(counted):
            counts[number][place] = count
    older, newer = site_entry.alias(), site_entry.alias()
    both = (
        select(newer.c.since, func.count())
        .where(
            newer.c.since.in_(list(counts)),
            older.c.section == newer.c.section,
            older.c.key == newer.c.key,
            older.c.until == newer.c.since,
        )
        .group_by(newer.c.since)
    )
    changed: dict[int, int] = {number: int(count) for number, count in connection.execute(both)}
    versions = []
    for one in found:
        begun, ended = counts[one.version]
        same = changed.get(one.version, 0)
        versions.append(Version(one.version, one.at, one.who, one.comment, begun - same, same, ended - same))
    return versions


def read(connection: Connection, version: int) -> Entries:
    """Every entry of a version."""
    found = connection.execute(_whole, {"version": version})
    return {(section, key): value for section, key, value in found.all()}


def page(connection: Connection, base: int, version: int, after: Key, rows: int) -> list[Row]:
    """The next `rows` entries behind key `after` that make `version` of the version `base`.

    base: 0 for nothing, all entries then. Fewer than `rows` of them: these are the last.
    What is read of a version is the same whatever was committed meanwhile.
    """
    where: dict[str, Any] = {
        "version": version,
        "after_section": after[0],
        "after_key": after[1],
        "rows": rows,
    }
    if base == 0:
        found = connection.execute(_page, where)
    else:
        found = connection.execute(_delta, where | {"base": base})
    return [(section, key, value) for section, key, value in found.all()]


def write(connection: Connection, version: Version, differing: list[Difference]) -> None:
    """Add a version that differs so from the newest one, in the transaction that `lock` began."""
    number = version.version
    ended = [
        {"ended_section": one.section, "ended_key": one.key, "ended_at": number}
        for one in differing
        if one.before is not None
    ]
    begun = [
        {"section": one.section, "key": one.key, "since": number, "value": one.after}
        for one in differing
        if one.after is not None
    ]
    if ended:
        connection.execute(_end, ended)
    if begun:
        connection.execute(insert(site_entry), begun)
    row = {"version": number, "at": version.at, "who": version.who, "comment": version.comment}
    connection.execute(insert(site_version), row)
    if connection.dialect.name == "postgresql":
        # Delivered when it is committed, and only then.
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def prune(connection: Connection, keep: int, now: float) -> None:
    """Forget versions behind the newest `keep`.

    Not those that somebody may be reading: that were the newest at some time in the KEPT_S before
    `now`. And PRUNED at most, since whoever writes meanwhile waits.
    """
    ends = select(func.max(_version.version), func.min(_version.version))
    newest, oldest = connection.execute(ends).one()
    # No transaction is open where SQLite is to begin one that writes.
    connection.rollback()
    if newest is None or newest - oldest < keep:
        return
    lock(connection)
    newest, oldest = connection.execute(ends).one()
    recent = connection.execute(select(func.min(_version.version)).where(_version.at > now - KEPT_S)).scalar()
    # The one before the first of these was the newest until that came.
    first = min(newest - keep + 1, (newest if recent is None else recent) - 1, oldest + PRUNED)
    if first <= oldest:
        return
    # What ended with the first that stays is kept: it says what differs there.
    connection.execute(delete(site_entry).where(_entry.until < first))
    connection.execute(delete(site_version).where(_version.version < first))


def note_file(connection: Connection, file: FileOf, version: int, at: float) -> None:
    """Remember that `version` has what stood in a file."""
    dialect: Any = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    row = {"file": file.name, "digest": file.digest, "version": version, "at": at}
    fresh = dialect.insert(site_file).values(row)
    connection.execute(fresh.on_conflict_do_update(index_elements=["file"], set_=row))


def is_applied(connection: Connection, file: FileOf) -> bool:
    """Whether the site in a file is the one that came last from it, or last from any file."""
    of = site_file.c
    last = connection.execute(select(of.digest).order_by(of.at.desc()).limit(1)).scalar()
    own = connection.execute(select(of.digest).where(of.file == file.name)).scalar()
    return file.digest in (last, own)


def runs(connection: Connection, file: FileOf) -> bool:
    """Whether the newest version is the one that was noted for this file as it is."""
    of = site_file.c
    noted = select(of.version).where(of.file == file.name, of.digest == file.digest)
    found = connection.execute(noted).scalar()
    return found is not None and found == latest(connection).version


def data_version(connection: Connection) -> int | None:
    """SQLite: a number that changes with every commit of others. Elsewhere None: there is none."""
    if connection.dialect.name != "sqlite":
        return None
    number: int = straight(connection, "PRAGMA data_version").fetchone()[0]
    return number
