"""The file with the last site known: whole or not at all, and for nobody else to read."""

import os
from pathlib import Path

import pytest

from oneproxy.site.last import FORMAT, Head, LastSite, Writer, read, read_head
from oneproxy.site.model import Row, Version

ROWS: list[Row] = [("domain", "x.org", '{"name":"x.org"}'), ("subscriber", "é\u2028@x.org", '{"a":"\\n"}')]
VERSION = Version(7, 5.5)


def write(path: Path, rows: list[Row]) -> None:
    with Writer(str(path), VERSION, b"hush") as writer:
        writer.add(rows[:1])
        writer.add(rows[1:])
        writer.finish()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "last"
    write(path, ROWS)
    assert read(str(path)) == LastSite(VERSION, b"hush", ROWS)
    assert read_head(str(path)) == Head(FORMAT, 7, 5.5, b"hush".hex())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["last"]


def test_nobody_else_may_read_it_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "last"
    for name in ("last", "last.new"):
        (tmp_path / name).write_text("open")
        os.chmod(tmp_path / name, 0o666)
    write(path, [])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "last"
    write(path, ROWS)
    with Writer(str(path), Version(8, 6.0), b"hush") as writer:
        writer.add(ROWS)
    assert read(str(path)) == LastSite(VERSION, b"hush", ROWS)
    assert [one.name for one in tmp_path.iterdir()] == ["last"]


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Writer(str(tmp_path / "none" / "last"), VERSION, b"")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "it is not whole"),
        (b'{"format":1,"version":1,"at":1,"secret":""}\n["a","b","c"]\n', "it is not whole"),
        (
            b'{"format":2,"version":1,"at":1,"secret":""}\nend\n',
            "it has the format 2, and this version knows 1",
        ),
        (b"what\nend\n", "it cannot be understood"),
        (b'{"format":1,"version":1,"at":1,"secret":""}\n["a"]\nend\n', "it cannot be understood"),
        (b'{"format":1,"version":1,"at":1,"secret":"x"}\nend\n', "it cannot be understood"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: bytes, reason: str) -> None:
    path = tmp_path / "last"
    path.write_bytes(text)
    assert read(str(path)) == reason


def test_no_file_is_said_so(tmp_path: Path) -> None:
    assert read(str(tmp_path / "none")) == "no such file or directory"
    assert read_head(str(tmp_path / "none")) is None
