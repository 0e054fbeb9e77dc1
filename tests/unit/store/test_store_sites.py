"""The versions of the site: what each reads as, what differs, who comes first, and what is brought back."""

import threading
from collections.abc import Iterator

import pytest

from oneproxy.site.difference import Difference, differences
from oneproxy.site.entries import encode_value
from oneproxy.site.model import Entries, Row, Version
from oneproxy.store import site_rows
from oneproxy.store.database import Database, StoreError
from oneproxy.store.site_rows import NOTHING, START, FileOf
from oneproxy.store.sites import Sites, Stale, Written

BY = Version(0, 1_700_000_000.0, "carol", "because")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database("system", database_url)
    made.open()
    yield made
    made.drop()


@pytest.fixture
def sites(database: Database) -> Sites:
    return Sites(database)


def site(*users: str, **changed: int) -> Entries:
    """A site of one domain with these users; changed: their HA1s."""
    entries: Entries = {("domain", "x.org"): encode_value({"name": "x.org"})}
    for user in users:
        ha1 = f"{changed.get(user, 0):032d}"
        entries["subscriber", f"{user}@x.org"] = encode_value({"aor": f"{user}@x.org", "ha1": {"MD5": ha1}})
    return entries


def written(found: object) -> Written:
    assert isinstance(found, Written)
    return found


def apply(sites: Sites, entries: Entries, by: Version, file: FileOf) -> Written | Stale | None:
    """As a start does it: None where the file was applied before."""
    return None if sites.is_applied(file) else sites.replace(entries, by, file)


def rows(database: Database) -> int:
    found = database.connection().exec_driver_sql("SELECT count(*) FROM site_entry").scalar_one()
    database.connection().rollback()
    return int(found)


def test_an_empty_database_has_no_site(sites: Sites) -> None:
    assert (sites.latest(), sites.look(), sites.versions(9), sites.entries(0)) == (NOTHING, NOTHING, [], {})


def test_a_site_is_stored_as_a_version_with_who_and_when(sites: Sites) -> None:
    first = written(sites.replace(site("a"), BY))
    assert first.version == Version(1, BY.at, "carol", "because")
    assert [(one.section, one.key, one.before is None) for one in first.differing] == [
        ("domain", "x.org", True),
        ("subscriber", "a@x.org", True),
    ]
    assert sites.entries(1) == site("a")
    assert sites.latest() == sites.find(1) == first.version
    assert sites.find(2) is None


def test_without_a_difference_there_is_no_new_version(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    again = written(sites.replace(site("a"), BY))
    assert (again.version.version, again.differing, len(sites.versions(9))) == (1, [], 1)


def test_every_version_reads_as_it_was_and_costs_the_rows_that_differ(
    sites: Sites, database: Database
) -> None:
    wanted = [site("a", "b"), site("a", "b", "c"), site("a", "c", a=1), site("a", "b", "c")]
    stored = []
    for entries in wanted:
        sites.replace(entries, BY)
        stored.append(rows(database))
    assert [sites.entries(number) for number in (1, 2, 3, 4)] == wanted
    assert stored == [3, 4, 5, 7]
    assert [(one.version, one.added, one.changed, one.removed) for one in sites.versions(9)] == [
        (4, 1, 1, 0),
        (3, 0, 1, 1),
        (2, 1, 0, 0),
        (1, 3, 0, 0),
    ]
    assert [one.version for one in sites.versions(2)] == [4, 3]


def test_one_subscriber_among_many_costs_one_row(sites: Sites, database: Database) -> None:
    many = [f"u{number}" for number in range(2_000)]
    sites.replace(site(*many), BY)
    before = rows(database)
    sites.replace(site(*many, "one-more"), BY)
    assert rows(database) - before == 1
    assert sites.page(1, 2, START) == [
        ("subscriber", "one-more@x.org", site("one-more")["subscriber", "one-more@x.org"])
    ]


def test_a_follower_reads_what_differs_in_pages(sites: Sites) -> None:
    sites.replace(site("a", "b", "gone", "brief"), BY)
    sites.replace(site("a", "b", "c"), BY)
    sites.replace(site("a", "c", "d", a=7), BY)
    now = site("a", "c", "d", a=7)
    gone = [("subscriber", f"{name}@x.org", "") for name in ("b", "brief", "gone")]
    new = [(*key, value) for key, value in now.items() if key[0] == "subscriber"]
    wanted = sorted([*gone, *new])
    found: list[Row] = []
    while len(page := sites.page(1, 3, found[-1][:2] if found else START, 2)) == 2:
        found += page
    assert [*found, *page] == wanted
    assert sites.page(0, 3, START) == sorted((*key, value) for key, value in now.items())


def test_what_is_read_of_a_version_stays_the_same_while_others_are_written(sites: Sites) -> None:
    sites.replace(site("a", "b"), BY)
    first = sites.page(0, 1, START, 2)
    sites.replace(site("c"), BY)
    assert [*first, *sites.page(0, 1, first[-1][:2], 2)] == sorted(
        (*key, value) for key, value in site("a", "b").items()
    )


def test_a_version_is_brought_back_as_a_new_one(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    sites.replace(site("b"), BY)
    back = written(sites.roll_back(1, BY))
    assert (back.version.version, sites.entries(3)) == (3, site("a"))
    assert sites.roll_back(9, BY) is None
    assert written(sites.roll_back(3, BY)).differing == []


def test_a_change_based_on_an_old_version_is_refused(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    sites.replace(site("a", "b"), BY)
    differing = differences(site("a", "b"), site("c"))
    assert sites.write(1, differing, BY) == Stale(2)
    assert sites.entries(2) == site("a", "b")
    assert written(sites.write(2, differing, BY)).version.version == 3
    assert sites.entries(3) == site("c")


def test_two_writers_at_once_lose_nothing(sites: Sites, database_url: str) -> None:
    sites.replace(site(), BY)
    faults: list[object] = []

    def add(writer: str) -> None:
        own = Database("system", database_url)
        for number in range(10):
            fresh = Difference("subscriber", f"{writer}{number}@x.org", None, "{}")
            found: object = Stale(0)
            while isinstance(found, Stale):
                found = Sites(own).write(Sites(own).latest().version, [fresh], BY)
            if not isinstance(found, Written):
                faults.append(found)
        own.drop()

    threads = [threading.Thread(target=add, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sites.latest().version == 21
    assert {key for section, key in sites.entries(21) if section == "subscriber"} == {
        f"{name}{number}@x.org" for name in "ab" for number in range(10)
    }


def test_a_file_is_applied_when_it_has_changed_and_not_before(sites: Sites) -> None:
    first, second = FileOf("m:/f.toml", "1"), FileOf("m:/f.toml", "2")
    assert not sites.runs(first)
    assert apply(sites, site("a"), BY, first) is not None
    assert sites.runs(first)
    sites.replace(site("a", "live"), BY)
    assert apply(sites, site("a"), BY, first) is None
    assert not sites.runs(first)
    assert sites.entries(sites.latest().version) == site("a", "live")
    assert written(apply(sites, site("b"), BY, second)).version.version == 3
    # The first one again: it is not what came last from this file.
    assert written(apply(sites, site("a"), BY, first)).version.version == 4


def test_another_file_applied_live_survives_a_restart_with_the_unchanged_one(sites: Sites) -> None:
    apply(sites, site("a"), BY, FileOf("m:/f.toml", "1"))
    sites.replace(site("b"), Version(0, BY.at + 1), FileOf("m:/other.toml", "2"))
    assert apply(sites, site("a"), BY, FileOf("m:/f.toml", "1")) is None
    # Nor does another machine with the same file undo anything.
    assert apply(sites, site("b"), BY, FileOf("n:/f.toml", "2")) is None


def test_a_file_without_a_difference_is_remembered_too(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    found = apply(sites, site("a"), BY, FileOf("m:/f.toml", "1"))
    assert written(found).differing == []
    sites.replace(site("b"), BY)
    assert apply(sites, site("a"), BY, FileOf("m:/f.toml", "1")) is None


def test_a_write_that_fails_leaves_nothing(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    sites.replace(site("a"), BY)
    honest = site_rows.write

    def broken(connection: object, version: Version, differing: list[Difference]) -> None:
        honest(connection, version, differing)  # type: ignore[arg-type]
        raise RuntimeError("killed")

    monkeypatch.setattr(site_rows, "write", broken)
    with pytest.raises(RuntimeError, match="killed"):
        sites.replace(site("b", "c"), BY)
    assert (sites.latest().version, sites.entries(1), sites.entries(2)) == (1, site("a"), site("a"))


def test_another_ones_version_is_seen(sites: Sites, database_url: str) -> None:
    assert sites.look() == NOTHING
    other = Database("system", database_url)
    for number in (1, 2):
        Sites(other).replace(site(f"a{number}"), BY)
        assert sites.look().version == number
        assert sites.look().version == number
    other.drop()


def test_another_ones_version_is_seen_over_a_connection_that_is_new(sites: Sites, database_url: str) -> None:
    """SQLite counts anew for each connection, and two may have come to one number."""
    assert sites.look() == NOTHING
    sites._database.drop()
    other = Database("system", database_url)
    Sites(other).replace(site("a"), BY)
    other.drop()
    assert sites.look().version == 1


def test_a_database_that_is_gone_is_named() -> None:
    database = Database("system", "postgresql://u:hush@127.0.0.1:1/x")
    with pytest.raises(StoreError, match="cannot use the system database") as found:
        Sites(database).latest()
    assert "hush" not in str(found.value)


HOUR_S = 3600.0


def aged(sites: Sites, count: int, every_s: float = 2 * HOUR_S) -> float:
    """Versions of one user each; when the last one was written."""
    for number in range(1, count + 1):
        by = Version(0, BY.at + number * every_s, "carol", str(number))
        assert written(sites.replace(site(f"user{number}"), by)).version.version == number
    return BY.at + count * every_s


def kept(sites: Sites) -> list[int]:
    return [one.version for one in sites.versions(1000)][::-1]


def test_of_many_versions_the_newest_are_kept_and_read_as_before(database: Database) -> None:
    sites = Sites(database, keep=3)
    now = aged(sites, 7)
    before = {number: sites.entries(number) for number in (5, 6, 7)}
    counts = sites.versions(3)
    sites.prune(now)
    assert kept(sites) == [5, 6, 7]
    assert {number: sites.entries(number) for number in (5, 6, 7)} == before
    # What differs in the oldest is told as it was.
    assert sites.versions(3) == counts
    assert sites.find(4) is None
    assert sites.roll_back(4, BY) is None
    # The domain and a user of each, and of the one before what ended with the first.
    assert rows(database) == 5
    assert written(sites.roll_back(5, BY)).version.version == 8
    assert sites.entries(8) == before[5]
    sites.prune(now)
    assert kept(sites) == [6, 7, 8]


def test_all_versions_are_kept_where_that_is_wanted_and_few_where_there_are_few(database: Database) -> None:
    everything = Sites(database)
    now = aged(everything, 5)
    for sites in (everything, Sites(database, keep=5), Sites(database, keep=1000)):
        sites.prune(now)
        assert kept(everything) == [1, 2, 3, 4, 5]
    Sites(database, keep=1).prune(now)
    assert kept(everything) == [4, 5]


def test_versions_that_somebody_may_be_reading_are_kept_for_an_hour(database: Database) -> None:
    sites = Sites(database, keep=1)
    now = aged(sites, 6, every_s=HOUR_S / 2)
    # 5 and 6 were written in the last hour, and 4 was the newest when it began.
    sites.prune(now)
    assert kept(sites) == [4, 5, 6]


def test_so_many_are_forgotten_at_once_that_nobody_waits_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_rows, "PRUNED", 2)
    sites = Sites(database, keep=2)
    now = aged(sites, 8)
    left = []
    for _ in range(4):
        sites.prune(now)
        left.append(kept(sites)[0])
    assert left == [3, 5, 7, 7]


def test_pruning_an_empty_database_does_nothing(database: Database) -> None:
    Sites(database, keep=1).prune(BY.at)
