"""The last site known, in a file beside the database: what is served while that is away.

One line of JSON that says what follows, a line for each entry, and a line that says that all
are there. It holds the farm's secret and HA1s: mode 0600, and whole or not at all.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from oneproxy.site.model import Row, Version

FORMAT: Final = 1
_END: Final = b"end\n"


class Head(msgspec.Struct, frozen=True):
    """What the file is of. secret: the farm's, hexadecimal."""

    format: int
    version: int
    at: float
    secret: str


class LastSite(msgspec.Struct, frozen=True):
    """What was in the file: a version, its entries in the order of their keys, and the secret."""

    version: Version
    secret: bytes
    rows: list[Row]


class Writer:
    """Writes a new file in place of an old one, a few entries at a time. Raises OSError."""

    def __init__(self, path: str, version: Version, secret: bytes) -> None:
        self._path = path
        self._fresh = f"{path}.new"
        # Whoever had a file there that others may read must not lend it to us.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._fresh)
        number = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(number, "wb")
        head = Head(FORMAT, version.version, version.at, secret.hex())
        self._file.write(msgspec.json.encode(head) + b"\n")

    def add(self, rows: Iterable[Row]) -> None:
        """Add these entries."""
        self._file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)

    def finish(self) -> None:
        """Put the file in its place; a crash before leaves the old one."""
        self._file.write(_END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._fresh, self._path)

    def abandon(self) -> None:
        """Leave the old file as it is."""
        # A full disk shows again when what is buffered is written.
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._fresh)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self.abandon()


def read_head(path: str) -> Head | None:
    """What the file is of, without reading all of it; None where it cannot be told."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.readline(), type=Head)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def read(path: str) -> LastSite | str:
    """What is in the file, or why it cannot be used."""
    try:
        lines = Path(path).read_bytes().splitlines(keepends=True)
    except OSError as error:
        return (error.strerror or "an error").lower()
    if len(lines) < 2 or lines[-1] != _END:
        return "it is not whole"
    try:
        head = msgspec.json.decode(lines[0], type=Head)
        if head.format != FORMAT:
            return f"it has the format {head.format}, and this version knows {FORMAT}"
        decoder = msgspec.json.Decoder(Row)
        rows = [decoder.decode(line) for line in lines[1:-1]]
        return LastSite(Version(head.version, head.at), bytes.fromhex(head.secret), rows)
    except (msgspec.MsgspecError, ValueError):
        return "it cannot be understood"
