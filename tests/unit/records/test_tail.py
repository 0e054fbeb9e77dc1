"""The records of a journal, read in order by whoever puts them elsewhere."""

import os
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from journals import drain, segment, write
from oneproxy.records import tail
from oneproxy.records.entries import HEADER_OCTETS, Kind, encode
from oneproxy.records.segments import NOWHERE, store_dropped
from oneproxy.records.tail import Place, folders, load_drained, read, store_drained


def record(name: str, number: int = 0) -> bytes:
    return encode(Kind.RECORD, number, name.encode())


def stands(number: int) -> bytes:
    return encode(Kind.STANDS, number, b"x" * 100)


def test_records_are_read_in_order_some_at_a_time(tmp_path: Path) -> None:
    write(tmp_path, 1, segment(stands(1), record("a", 1), stands(2), record("b"), stands(3)))
    write(tmp_path, 2, segment(record("c"), encode(77, 1, b"later"), record("d", 3), number=2) + bytes(100))
    first = read(str(tmp_path), NOWHERE, 1)
    assert (first.records, first.ended, first.lost) == ([b"a"], False, 0)
    second = read(str(tmp_path), first.place, 2)
    assert (second.records, second.ended) == ([b"b", b"c"], False)
    third = read(str(tmp_path), second.place, 2)
    assert (third.records, third.ended) == ([b"d"], True)
    again = read(str(tmp_path), third.place, 2)
    assert (again.records, again.ended, again.place) == ([], True, third.place)


def test_what_is_torn_is_not_yet_there_and_is_read_when_it_is(tmp_path: Path) -> None:
    whole = segment(record("a"), record("b"))
    for cut in range(HEADER_OCTETS + len(record("a")), len(whole)):
        write(tmp_path, 1, whole[:cut] + bytes(len(whole) - cut + 50))
        with capture_logs() as logged:
            piece = read(str(tmp_path), NOWHERE, 10)
        assert (piece.records, piece.ended, logged) == ([b"a"], True, [])
        write(tmp_path, 1, whole + bytes(50))
        assert read(str(tmp_path), piece.place, 10).records == [b"b"]


def test_a_spoilt_record_of_a_closed_segment_is_passed_over_and_said(tmp_path: Path) -> None:
    spoilt = bytearray(segment(record("a"), record("spoilt"), record("c")))
    spoilt[spoilt.index(b"spoilt")] ^= 1
    write(tmp_path, 1, bytes(spoilt))
    write(tmp_path, 2, bytes(100))
    with capture_logs() as logged:
        assert drain(tmp_path)[0] == [b"a"]
    assert logged == []
    write(tmp_path, 2, segment(record("d"), number=2, records=3))
    with capture_logs() as logged:
        assert drain(tmp_path, most=10)[0] == [b"a", b"c", b"d"]
    assert [(one["event"], one["octets"], one["rest"]) for one in logged] == [
        ("part of the journal passed over", HEADER_OCTETS + len(record("a")), False)
    ]


def test_where_a_length_is_spoilt_the_rest_of_the_segment_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 2, segment(record("d"), number=2))
    for spoilt in (b"\xff" * 30, bytes(30), bytes(300_000)):
        write(tmp_path, 1, segment(record("a"), spoilt, record("c")))
        with capture_logs() as logged:
            assert drain(tmp_path, most=10)[0] == [b"a", b"d"]
        assert [one["rest"] for one in logged] == [True]


def test_segments_that_were_dropped_are_said_once(tmp_path: Path) -> None:
    write(tmp_path, 4, segment(record("d"), number=4))
    store_dropped(str(tmp_path), 3)
    with capture_logs() as logged:
        piece = read(str(tmp_path), Place(2, 100), 10)
        again = read(str(tmp_path), piece.place, 10)
    assert (piece.lost, piece.records, piece.ended) == (2, [b"d"], True)
    assert (again.lost, again.records) == (0, [])
    assert [(one["event"], one["segments"]) for one in logged] == [("records lost", 2)]


def test_segments_that_were_needed_no_more_are_nothing_lost(tmp_path: Path) -> None:
    write(tmp_path, 9, segment(record("d"), number=9))
    with capture_logs() as logged:
        for after in (NOWHERE, Place(3, 1000)):
            piece = read(str(tmp_path), after, 10)
            assert (piece.lost, piece.records) == (0, [b"d"])
    assert logged == []


def test_segments_that_somebody_took_away_in_between_are_said(tmp_path: Path) -> None:
    for number in (1, 3, 6):
        write(tmp_path, number, segment(record(str(number)), number=number))
    write(tmp_path, 5, b"no segment")
    with capture_logs() as logged:
        piece = read(str(tmp_path), NOWHERE, 10)
    assert (piece.records, piece.lost, piece.ended) == ([b"1", b"3", b"6"], 3, True)
    assert [one["segments"] for one in logged] == [3]


def test_a_journal_that_is_not_there_has_ended(tmp_path: Path) -> None:
    piece = read(str(tmp_path / "none"), Place(3, 50), 10)
    assert (piece.records, piece.place, piece.ended, piece.lost) == ([], Place(3, 50), True, 0)


def test_a_segment_that_is_removed_while_it_is_looked_for_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 2, segment(record("b"), number=2))
    monkeypatch.setattr(tail, "numbers", lambda _: [1, 2])
    assert read(str(tmp_path), NOWHERE, 10).records == [b"b"]
    # It was there a moment ago.
    monkeypatch.setattr(tail, "_is_begun", lambda _folder, _number: True)
    piece = read(str(tmp_path), NOWHERE, 10)
    assert (piece.records, piece.place, piece.ended) == ([], NOWHERE, False)
    monkeypatch.undo()
    assert drain(tmp_path, piece.place)[0] == [b"b"]


def test_a_listing_that_shows_the_later_of_two_new_segments_alone_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        write(tmp_path, number, segment(record(str(number)), number=number))
    monkeypatch.setattr(tail, "numbers", lambda _: [1, 3])
    piece = read(str(tmp_path), NOWHERE, 10)
    assert (piece.records, piece.lost) == ([b"1", b"2", b"3"], 0)


def test_so_much_is_looked_through_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "WORK", 300_000)
    entries = [stands(number) for number in range(5000)]
    for number in (1, 2):
        write(tmp_path, number, segment(*entries, record(str(number)), number=number))
    pieces, after = 0, NOWHERE
    records: list[bytes] = []
    while not (piece := read(str(tmp_path), after, 10)).ended:
        after = piece.place
        records += piece.records
        pieces += 1
    assert records + piece.records == [b"1", b"2"]
    assert 2 <= pieces <= 8


def test_how_far_it_has_come_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert load_drained(folder) == NOWHERE
    store_drained(folder, Place(3, 70_000))
    assert load_drained(folder) == Place(3, 70_000)
    store_drained(folder, Place(4, 0))
    assert load_drained(folder) == Place(4, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["drained"]
    octets = (tmp_path / "drained").read_bytes()
    for at in range(len(octets)):
        (tmp_path / "drained").write_bytes(octets[:at])
        assert load_drained(folder) == NOWHERE
        (tmp_path / "drained").write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
        assert load_drained(folder) == NOWHERE


def test_on_a_full_disk_it_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    store_drained(folder, Place(3, 70_000))
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(28, "No space left on device")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    store_drained(folder, Place(4, 1))
    assert load_drained(folder) == Place(4, 1)
    monkeypatch.undo()
    shutil.rmtree(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        store_drained(folder, Place(4, 1))


def test_folders_are_those_of_all_nodes_that_ever_were(tmp_path: Path) -> None:
    for name in ("oneproxy-edge-1-0.journal", "oneproxy-old-3.journal", "other.journal"):
        (tmp_path / name).mkdir()
    (tmp_path / "oneproxy-edge-1-0.journal.lock").write_bytes(b"")
    (tmp_path / "oneproxy-file-0.journal").write_bytes(b"")
    assert folders(str(tmp_path)) == [
        str(tmp_path / "oneproxy-edge-1-0.journal"),
        str(tmp_path / "oneproxy-old-3.journal"),
    ]
