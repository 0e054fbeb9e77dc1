"""What a journal says at the start."""

from pathlib import Path

from structlog.testing import capture_logs

from oneproxy.records.entries import HEADER, MAGIC, Kind, encode
from oneproxy.records.reading import read

ENTRIES = (
    encode(Kind.STANDS, 1, b"one"),
    encode(Kind.STANDS, 2, b"two"),
    encode(Kind.STANDS, 1, b"refreshed"),
    encode(Kind.STANDS, 7, b"seven"),
    encode(Kind.ENDED, 2),
    encode(Kind.ENDED, 99),
)
WHOLE = HEADER + b"".join(ENTRIES)


def test_a_file_that_is_not_there_says_that_nothing_stands(tmp_path: Path) -> None:
    with capture_logs() as logged:
        found = read(str(tmp_path / "calls"))
    assert (found.standing, found.last, found.good, logged) == ({}, 0, 0, [])


def test_what_stands_is_what_began_and_has_not_ended_as_it_was_said_last(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(WHOLE)
    with capture_logs() as logged:
        found = read(str(path))
    assert found.standing == {1: b"refreshed", 7: b"seven"}
    assert (found.last, found.good, logged) == (99, len(WHOLE), [])


def test_what_a_later_version_may_add_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(HEADER + encode(77, 1, b"a record") + ENTRIES[1])
    assert read(str(path)).standing == {2: b"two"}


def test_a_torn_end_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(WHOLE + ENTRIES[1][:-1])
    with capture_logs() as logged:
        found = read(str(path))
    assert found.standing == {1: b"refreshed", 7: b"seven"}
    assert found.good == len(WHOLE)
    assert [(one["event"], one["octets"], one["reason"]) for one in logged] == [
        ("end of the journal left out", len(ENTRIES[1]) - 1, "torn")
    ]


def test_zeros_that_a_machine_left_at_the_end_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(WHOLE + b"\0" * 5000)
    with capture_logs() as logged:
        found = read(str(path))
    assert (found.good, logged[0]["octets"], logged[0]["reason"]) == (len(WHOLE), 5000, "corrupt")


def test_foreign_and_later_files_are_moved_aside_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    for number, octets in enumerate((b"[node]\n", MAGIC + b"\x09\0\0\0" + ENTRIES[0]), 1):
        path.write_bytes(octets)
        with capture_logs() as logged:
            found = read(str(path))
        aside = tmp_path / f"calls.aside-{number}"
        assert (found.standing, found.good, path.exists()) == ({}, 0, False)
        assert aside.read_bytes() == octets
        assert [(one["event"], one["moved_to"]) for one in logged] == [("journal not read", str(aside))]


def test_what_can_not_be_read_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.mkdir()
    with capture_logs() as logged:
        assert read(str(path)).standing == {}
    assert (tmp_path / "calls.aside-1").is_dir()
    assert (logged[0]["event"], logged[0]["reason"]) == ("journal not read", "Is a directory")


def test_a_long_journal_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(HEADER + b"".join(encode(Kind.STANDS, number, b"x" * 500) for number in range(9000)))
    found = read(str(path))
    assert (len(found.standing), found.last, found.good) == (9000, 8999, path.stat().st_size)
