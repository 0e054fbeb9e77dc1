"""Where commands on this machine ask a running OneProxy: a file that its own user alone may read.

    oneproxy run     writes where the recorder listens, and a token for questions alone
    a command        reads it, asks one question, and is gone

The token is made of the one that nodes have: it lets nobody in as a node, which is told the farm's
secret. The file lies beside the last site known, and goes when OneProxy ends; one that was killed
leaves it behind, and nobody answers there.
"""

import contextlib
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

#: What stands behind the name of the file with the last site.
SUFFIX: Final = ".running"
#: What a command calls itself.
COMMAND: Final = "command"


class Running(msgspec.Struct, frozen=True):
    """What the file says. pid: of the supervisor."""

    endpoint: str
    token: str
    pid: int


class Notice:
    """The file of this process, there until `remove`."""

    __slots__ = ("_path", "_text")

    def __init__(self, last_site: str, endpoint: str, token: str) -> None:
        """token: that of nodes. Raises OSError."""
        self._path = path_of(last_site)
        self._text = msgspec.json.encode(Running(endpoint, asking_token(token), os.getpid()))
        fresh = f"{self._path}.new"
        # Whoever had a file there that others may read must not lend it to us.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(self._text)
        os.replace(fresh, self._path)

    def remove(self) -> None:
        """Remove it, unless another OneProxy has put its own there."""
        with contextlib.suppress(OSError):
            if Path(self._path).read_bytes() == self._text:
                os.unlink(self._path)


def path_of(last_site: str) -> str:
    """The file, beside the one with the last site."""
    return f"{last_site}{SUFFIX}"


def read(last_site: str) -> Running | None:
    """What a running OneProxy has put down; None for what is no such file. Raises OSError."""
    try:
        return msgspec.json.decode(Path(path_of(last_site)).read_bytes(), type=Running)
    except msgspec.MsgspecError:
        return None


def asking_token(token: str) -> str:
    """What lets in who asks, and nobody else. token: that of nodes."""
    return blake2b(b"asks", key=token.encode()[:64], digest_size=16).hexdigest()
