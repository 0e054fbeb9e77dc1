"""What a journal says at the start."""

from pathlib import Path

from structlog.testing import capture_logs

from journals import segment, write
from oneproxy.records.entries import HEADER_OCTETS, MAGIC, Kind, encode
from oneproxy.records.reading import read
from oneproxy.records.segments import Closed, Place, store_drained, store_dropped

ENTRIES = (
    encode(Kind.STANDS, 1, b"one"),
    encode(Kind.STANDS, 2, b"two"),
    encode(Kind.STANDS, 1, b"refreshed"),
    encode(Kind.STANDS, 7, b"seven"),
    encode(Kind.ENDED, 2),
    encode(Kind.STANDS, 8, b"eight"),
    encode(Kind.RECORD, 8, b"{}"),
    encode(Kind.RECORD, 0, b"{}"),
    encode(Kind.ENDED, 99),
)
WHOLE = segment(*ENTRIES)
STANDING = {1: b"refreshed", 7: b"seven"}


def test_a_folder_that_is_not_there_says_that_nothing_stands(tmp_path: Path) -> None:
    with capture_logs() as logged:
        found = read(str(tmp_path / "calls"))
    assert (found.standing, found.last, found.good.number, found.good.next, logged) == ({}, 0, 0, 1, [])


def test_what_stands_is_what_began_and_has_not_ended_as_it_was_said_last(tmp_path: Path) -> None:
    write(tmp_path / "calls", 1, WHOLE + bytes(1000))
    with capture_logs() as logged:
        found = read(str(tmp_path / "calls"))
    good = found.good
    assert (found.standing, found.last, logged) == (STANDING, 99, [])
    assert (good.number, good.octets, good.of_it, good.records, good.next) == (1, len(WHOLE), 2, 2, 2)


def test_what_a_later_version_may_add_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "calls", 1, segment(encode(77, 1, b"something"), ENTRIES[1]))
    assert read(str(tmp_path / "calls")).standing == {2: b"two"}


def test_segments_are_read_from_the_one_that_the_last_names(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    first = segment(encode(Kind.STANDS, 1, b"forgotten"), encode(Kind.RECORD, 0, b"{}"))
    write(folder, 1, first)
    second = segment(ENTRIES[1], number=2, records=1)
    write(folder, 2, second)
    write(folder, 3, segment(ENTRIES[3], ENTRIES[4], number=3, since=2, records=1))
    write(folder, 4, bytes(500))
    with capture_logs() as logged:
        found = read(str(folder))
    good = found.good
    assert (found.standing, logged) == ({7: b"seven"}, [])
    assert (good.number, good.since, good.records, good.of_it) == (3, 2, 1, 0)
    assert (good.spares, good.next) == ([4], 5)
    assert good.closed == [Closed(1, len(first), 1), Closed(2, len(second), 0)]


def test_a_torn_end_is_left_out_and_said(tmp_path: Path) -> None:
    torn = ENTRIES[1][:-1]
    for number, rest in enumerate((torn, torn + bytes(100), bytes(100) + ENTRIES[1])):
        folder = tmp_path / str(number)
        path = write(folder, 1, WHOLE + rest)
        with capture_logs() as logged:
            found = read(str(folder))
        assert (found.standing, found.good.octets) == (STANDING, len(WHOLE))
        assert [(one["event"], one["file"], one["octets"], one["reason"]) for one in logged] == [
            ("end of the journal left out", str(path), len(WHOLE), "corrupt")
        ]


def test_of_an_earlier_segment_that_is_spoilt_what_follows_is_left_out_and_later_ones_are_read(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "calls"
    spoilt = ENTRIES[1][:-1] + b"x"
    write(folder, 1, segment(ENTRIES[0], spoilt, ENTRIES[3]))
    write(folder, 2, segment(encode(Kind.STANDS, 9, b"nine"), number=2))
    with capture_logs() as logged:
        found = read(str(folder))
    assert found.standing == {1: b"one", 9: b"nine"}
    assert [one["event"] for one in logged] == ["end of the journal left out"]


def test_foreign_and_later_files_are_moved_aside_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    later = MAGIC + b"\x09\0\0\0" + bytes(28)
    for number, octets in enumerate((b"[node]\n", later, WHOLE[:-1].replace(b"Jrnl\x02", b"Jrnl\x01")), 1):
        path = write(folder, 1, octets)
        with capture_logs() as logged:
            found = read(str(folder))
        aside = folder / f"00000001.log.aside-{number}"
        assert (found.standing, found.good.number, found.good.next) == ({}, 0, 2)
        assert not path.exists()
        assert aside.read_bytes() == octets
        assert [(one["event"], one["moved_to"]) for one in logged] == [("journal not read", str(aside))]


def test_a_segment_under_the_number_of_another_one_is_moved_aside(tmp_path: Path) -> None:
    write(tmp_path / "calls", 5, WHOLE)
    with capture_logs() as logged:
        assert read(str(tmp_path / "calls")).standing == {}
    assert [one["reason"] for one in logged] == ["corrupt"]


def test_a_file_in_the_place_of_the_folder_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(b"something")
    with capture_logs() as logged:
        assert read(str(path)).standing == {}
    assert (tmp_path / "calls.aside-1").read_bytes() == b"something"
    assert (logged[0]["event"], logged[0]["reason"]) == ("journal not read", "Not a directory")


def test_a_segment_that_can_not_be_read_is_moved_aside(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    (folder / "00000001.log").mkdir(parents=True)
    write(folder, 2, segment(ENTRIES[1], number=2))
    with capture_logs() as logged:
        assert read(str(folder)).standing == {2: b"two"}
    assert (folder / "00000001.log.aside-1").is_dir()
    assert (logged[0]["event"], logged[0]["reason"]) == ("journal not read", "Is a directory")


def test_segments_that_somebody_took_away_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    write(folder, 1, segment(ENTRIES[1]))
    write(folder, 4, segment(ENTRIES[3], number=4))
    with capture_logs() as logged:
        assert read(str(folder)).standing == {2: b"two", 7: b"seven"}
    assert [(one["reason"], one["segments"]) for one in logged] == [("segments are missing", 2)]


def test_no_number_is_given_twice_though_all_segments_be_gone(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    store_drained(str(folder), Place(7, 100))
    assert read(str(folder)).good.next == 8
    store_dropped(str(folder), 12)
    assert read(str(folder)).good.next == 13


def test_a_long_segment_is_read_whole(tmp_path: Path) -> None:
    entries = [encode(Kind.STANDS, number, b"x" * 500) for number in range(9000)]
    path = write(tmp_path / "calls", 1, segment(*entries))
    found = read(str(tmp_path / "calls"))
    assert (len(found.standing), found.last, found.good.octets) == (9000, 8999, path.stat().st_size)
    assert found.good.octets > HEADER_OCTETS
