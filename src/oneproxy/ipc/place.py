"""The directory that holds the recorder's socket: private, locked while in use, and cleared away.

A supervisor that was killed leaves its directory behind. The next one of the same user
removes it when its process is gone and nobody holds its lock: process numbers alone say
little where containers share a temporary directory.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

PREFIX: Final = "oneproxy-"
SOCKET: Final = "recorder"
#: What sun_path takes on every system, its closing NUL included, is 104 octets or more.
MAX_PATH: Final = 100


class Place:
    """A directory of this process, and the endpoint in it."""

    def __init__(self, parent: str | None = None) -> None:
        """parent: where it is made; None: the system's temporary directory. Raises OSError."""
        parent = parent or tempfile.gettempdir()
        remove_stale(parent)
        self.directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
        self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = os.path.join(self.directory, SOCKET)
        if len(os.fsencode(path)) <= MAX_PATH:
            self.endpoint = f"unix:{path}"
        else:
            self.endpoint = f"tcp:127.0.0.1:{_free_port()}"

    def close(self) -> None:
        """Remove the directory with what is in it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)


def remove_stale(parent: str) -> None:
    """Remove what killed supervisors of this user left in `parent`."""
    for left in Path(parent).glob(f"{PREFIX}[0-9]*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        # Somebody else's, already gone, or being removed by another: none of our business.
        with contextlib.suppress(OSError):
            if pid.isdecimal() and not _alive(int(pid)) and left.lstat().st_uid == os.geteuid():
                _remove_unlocked(left)


def _remove_unlocked(directory: Path) -> None:
    """Remove `directory` unless a living process holds its lock. Raises OSError then."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory)
    finally:
        os.close(lock)


def _alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    """A TCP port that is free on the loopback address now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
