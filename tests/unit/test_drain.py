"""Draining journals into the table, with journals and a table in memory."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from oneproxy import drain as drain_module
from oneproxy.drain import AGAIN_S, EXPIRE_EVERY_S, EXPIRE_PAUSE_S, POLL_S, REFUSED, Drain, octets_behind
from oneproxy.ipc.call_records import RecordsHealth
from oneproxy.records.wanted import Wanted
from oneproxy.site.model import Cdr, Version
from oneproxy.store.database import Database, StoreError, UnreachableError
from oneproxy.store.record_search import RecordSearch
from oneproxy.store.records import Records, Refused
from recorded import AT_MS, a_record, journalled
from waiting import until, until_now

SEGMENT = 1


class Place(tuple[int, int]):
    """A segment, and how many records of it are read."""

    __slots__ = ()

    @property
    def segment(self) -> int:
        return self[0]

    @property
    def octets(self) -> int:
        return self[1]


class Piece:
    def __init__(self, records: list[bytes], place: Place, lost: int, ended: bool) -> None:
        self.records, self.place, self.lost, self.ended = records, place, lost, ended


class Journals:
    """What nodes have written, by folder, and how far it is drained."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.written: dict[str, list[bytes]] = {}
        self.drained: dict[str, Place] = {}
        self.lost: dict[str, int] = {}
        self.odd: set[str] = set()

    def write(self, node: str, *records: bytes) -> str:
        folder = self._directory / node
        folder.mkdir(exist_ok=True)
        self.written.setdefault(str(folder), []).extend(records)
        return str(folder)

    def folders(self, directory: str) -> list[str]:
        assert directory == str(self._directory)
        return sorted(self.written)

    def load_drained(self, folder: str) -> Place:
        return self.drained.get(folder, Place((SEGMENT, 0)))

    def read(self, folder: str, after: Place, most: int) -> Piece:
        if folder in self.odd:
            raise PermissionError(13, "Permission denied")
        records = self.written[folder][after.octets : after.octets + most]
        place = Place((SEGMENT, after.octets + len(records)))
        return Piece(records, place, self.lost.pop(folder, 0), place.octets == len(self.written[folder]))

    def store_drained(self, folder: str, place: Place) -> None:
        self.drained[folder] = place


class Table:
    """Keeps what is stored, and refuses `b"odd"`."""

    batch = 10

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.fault = ""
        self.expired: list[int] = []
        self.more = False
        self.is_closed = False

    def prepare(self) -> None:
        """Nothing is needed."""

    def store(self, records: Sequence[bytes]) -> list[Refused]:
        if self.fault:
            raise UnreachableError(self.fault)
        self.rows += [one for one in records if one not in self.rows and not one.startswith(b"odd")]
        return [Refused(one, "it is odd") for one in records if one.startswith(b"odd")]

    def expire(self, before_ms: int) -> bool:
        self.expired.append(before_ms)
        return self.more

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def drain(tmp_path: Path, journals: Journals, table: Table) -> Drain:
    return Drain(str(tmp_path), table, journals)


def lines(count: int, node: str = "") -> list[bytes]:
    return [b"%s%d" % (node.encode(), number) for number in range(count)]


def test_journals_are_stored_piece_by_piece_in_turn(drain: Drain, journals: Journals, table: Table) -> None:
    journals.write("a", *lines(25, "a"))
    journals.write("b", *lines(5, "b"))
    assert [drain.turn(0.0) for _ in range(3)] == [0.0, 0.0, POLL_S]
    assert table.rows == [*lines(25, "a")[:10], *lines(5, "b"), *lines(25, "a")[10:]]
    journals.write("a", b"one more")
    assert drain.turn(1.0) == POLL_S
    assert table.rows[-1] == b"one more"
    assert drain.health() == RecordsHealth(31, 0, 0, 0, 0, "")


def test_what_was_stored_before_a_crash_is_stored_again_without_effect(
    drain: Drain, journals: Journals, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = journals.write("a", *lines(10))

    def die(_folder: str, _place: Place) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journals, "store_drained", die)
        with pytest.raises(KeyboardInterrupt):
            drain.turn(0.0)
    assert len(table.rows) == 10 and folder not in journals.drained
    again = Drain(drain._directory, table, journals)
    again.turn(0.0)
    assert (table.rows, journals.drained[folder]) == (lines(10), Place((SEGMENT, 10)))


def test_a_database_that_is_away_is_waited_for_and_said_once(
    drain: Drain, journals: Journals, table: Table
) -> None:
    folder = journals.write("a", *journalled(a_record()))
    (Path(folder) / "00000001.log").write_bytes(b"x" * 500)
    table.fault = "nobody there"
    with capture_logs() as logs:
        assert [drain.turn(0.0), drain.turn(1.0)] == [AGAIN_S, AGAIN_S]
        assert drain.health() == RecordsHealth(0, 0, 0, 500, a_record().ended_ms, "nobody there")
        table.fault = ""
        assert drain.turn(2.0) == POLL_S
    assert [(one["event"], one.get("reason")) for one in logs] == [
        ("call records not stored", "nobody there"),
        ("call records stored again", None),
    ]
    assert drain.health() == RecordsHealth(1, 0, 0, 0, 0, "")


def test_records_that_no_database_takes_are_kept_in_a_file(
    drain: Drain, journals: Journals, table: Table
) -> None:
    folder = journals.write("a", b"good", b"odd \xe4\xb8\xad", b"odd \xff", b"better")
    with capture_logs() as logs:
        drain.turn(0.0)
    assert table.rows == [b"good", b"better"]
    path = Path(folder) / REFUSED
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"reason": "it is odd", "record": "odd \u4e2d"},
        {"reason": "it is odd", "octets": "odd \xff"},
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [(one["event"], one["records"], one["kept_in"]) for one in logs] == [
        ("call records refused", 2, str(path))
    ]
    assert drain.health() == RecordsHealth(2, 2, 0, 0, 0, "")


def test_a_refused_record_that_cannot_be_kept_is_not_passed_over(
    drain: Drain, journals: Journals, table: Table
) -> None:
    folder = journals.write("a", b"odd")
    (Path(folder) / REFUSED).mkdir()
    with capture_logs() as logs:
        drain.turn(0.0)
    assert folder not in journals.drained
    assert [one["event"] for one in logs] == ["journal not drained"]


def test_a_journal_that_cannot_be_read_keeps_no_other_waiting(
    drain: Drain, journals: Journals, table: Table
) -> None:
    journals.odd.add(journals.write("a", b"one"))
    journals.write("b", b"two")
    with capture_logs() as logs:
        assert drain.turn(0.0) == POLL_S
    assert table.rows == [b"two"]
    assert [(one["event"], one["reason"]) for one in logs] == [("journal not drained", "Permission denied")]


def test_lost_segments_are_counted(drain: Drain, journals: Journals) -> None:
    journals.lost[journals.write("a", b"one")] = 3
    drain.turn(0.0)
    assert drain.health().lost == 3


def test_old_rows_go_while_there_is_nothing_to_store(drain: Drain, journals: Journals, table: Table) -> None:
    journals.write("a", *lines(11))
    drain.cdr = Cdr(True, 90)
    assert drain.turn(0.0) == 0.0
    assert table.expired == []
    table.more = True
    drain.turn(0.0)
    (before_ms,) = table.expired
    assert before_ms == pytest.approx((time.time() - 90 * 86_400) * 1000, abs=60_000)
    drain.turn(EXPIRE_EVERY_S - 0.1)
    assert len(table.expired) == 1
    table.more = False
    drain.turn(EXPIRE_EVERY_S)
    drain.turn(EXPIRE_EVERY_S + EXPIRE_PAUSE_S - 0.1)
    assert len(table.expired) == 2
    drain.cdr = Cdr(True)
    drain.turn(EXPIRE_EVERY_S + EXPIRE_PAUSE_S)
    assert len(table.expired) == 2


def test_the_end_waits_until_the_journals_are_empty(drain: Drain, journals: Journals, table: Table) -> None:
    drain.start()
    until_now(lambda: table.rows == [] and not table.is_closed)
    journals.write("a", *lines(95))
    drain.finish()
    assert (len(table.rows), table.is_closed) == (95, True)


def test_the_end_waits_no_longer_than_it_may(drain: Drain, journals: Journals, table: Table) -> None:
    table.fault = "nobody there"
    journals.write("a", *lines(5))
    drain.start()
    drain.finish()
    assert (table.rows, table.is_closed) == ([], True)
    again = Drain(drain._directory, table, journals)
    table.fault = ""
    journals.write("a", *lines(1000))
    again.start()
    again.finish(0.0)
    # The piece in hand, at least, and not all of them for want of time.
    assert table.rows


def test_a_fault_of_our_own_ends_nothing(
    drain: Drain, journals: Journals, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "AGAIN_S", 0.001)
    seen = threading.Event()

    def fail(_directory: str) -> list[str]:
        seen.set()
        raise ValueError("ours")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(journals, "folders", fail)
        drain.start()
        until_now(seen.is_set)
    journals.write("a", b"one")
    until_now(lambda: table.rows == [b"one"])
    drain.finish()
    assert logs[0]["event"] == "call records not drained"


def test_what_waits_is_told_by_the_files_of_the_journal(tmp_path: Path) -> None:
    for name, size in (("00000001.log", 100), ("00000002.log", 200), ("00000010.log", 300), ("drained", 20)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert octets_behind(str(tmp_path), 2, 150) == 350
    assert octets_behind(str(tmp_path), 0, 0) == 600
    assert octets_behind(str(tmp_path), 10, 400) == 0


def test_a_journal_becomes_rows_in_a_database(database_url: str, tmp_path: Path, journals: Journals) -> None:
    database = Database("proxy", database_url)
    database.open()
    database.drop()
    folder = journals.write("a", *journalled(*(a_record(number, AT_MS + number) for number in range(1500))))
    journals.written[folder].insert(700, b"odd")
    drain = Drain(str(tmp_path), Records(database_url), journals)
    drain.start()
    until_now(lambda: drain.health().stored + drain.health().refused == 1501)
    drain.finish()
    search = RecordSearch(database_url)
    assert len(search.find(Wanted(), None, 2000)) == 1500
    search.close()
    assert drain.health().refused == 1


class Feed:
    """A site that changes."""

    def __init__(self) -> None:
        self.latest: Version | None = None
        self.value = ""
        self.fault = ""

    async def single(self, section: str) -> str:
        assert section == "cdr"
        if self.fault:
            raise StoreError(self.fault)
        return self.value


def test_what_the_site_says_of_records_is_gone_by(drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "FOLLOW_S", 0.001)
    feed = Feed()

    async def scene() -> None:
        following = asyncio.create_task(drain.follow(feed))
        for number, (value, wanted) in enumerate(
            [
                ('{"enabled":true,"keep_days":7}', Cdr(True, 7)),
                ("oops", Cdr()),
                ('{"keep_days":9}', Cdr(False, 9)),
            ]
        ):
            feed.value, feed.latest = value, Version(number, 0.0)
            await until(lambda wanted=wanted: drain.cdr == wanted)  # type: ignore[misc]
        feed.fault, feed.latest = "gone", Version(8, 0.0)
        with capture_logs() as logs:
            await until(lambda: logs)
        feed.fault, feed.value = "", ""
        await until(lambda: drain.cdr == Cdr())
        following.cancel()
        await asyncio.wait([following])

    asyncio.run(scene())


def test_a_place_for_records_is_made_ahead_of_time_where_they_are_kept(
    drain: Drain, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[float] = []
    monkeypatch.setattr(table, "prepare", lambda: prepared.append(1.0))
    drain.turn(0.0)
    assert prepared == []
    drain.cdr = Cdr(True)
    drain.turn(EXPIRE_PAUSE_S)
    assert prepared == [1.0]
