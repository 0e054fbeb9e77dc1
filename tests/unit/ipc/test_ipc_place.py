"""The directory of the recorder's socket."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from oneproxy.ipc.place import Place, remove_stale


def dead_pid() -> int:
    """The number of a process that has just ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_a_place_is_private_and_gone_after_use(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    directory = Path(place.directory)
    assert directory.parent == tmp_path
    assert directory.name.startswith(f"oneproxy-{os.getpid()}-")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (directory / "recorder").touch()
    place.close()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_has_a_short_path() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        place = Place(short)
        assert place.endpoint == f"unix:{place.directory}/recorder"
        place.close()


def test_where_a_path_is_too_long_for_a_socket_it_is_the_loopback_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    place = Place(str(deep))
    kind, host, port = place.endpoint.split(":")
    assert (kind, host) == ("tcp", "127.0.0.1")
    assert 0 < int(port) < 65536
    place.close()


def test_what_a_killed_supervisor_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    pid = dead_pid()
    stale = tmp_path / f"oneproxy-{pid}-abc"
    stale.mkdir()
    (stale / "recorder").touch()
    others = [
        tmp_path / f"oneproxy-{os.getpid()}-abc",
        tmp_path / "oneproxy-notes-abc",
        tmp_path / f"oneproxy-{pid}x-abc",
        tmp_path / f"twoproxy-{pid}-abc",
    ]
    for other in others:
        other.mkdir()
    (tmp_path / f"oneproxy-{pid}-file").touch()
    (tmp_path / f"oneproxy-{pid}-link").symlink_to(others[0])
    others += [tmp_path / f"oneproxy-{pid}-file", tmp_path / f"oneproxy-{pid}-link"]
    remove_stale(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_place_that_is_locked_stays_whatever_its_process_number_says(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    looks_stale = tmp_path / f"oneproxy-{dead_pid()}-abc"
    Path(place.directory).rename(looks_stale)
    remove_stale(str(tmp_path))
    assert list(tmp_path.iterdir()) == [looks_stale]
    place.close()
    remove_stale(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
