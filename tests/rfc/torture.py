"""The torture messages of RFC 4475 and RFC 5118 as wire bytes, and what may be answered to each.

for name, wire, row in torture.messages():
    status = send(wire)                      # None where nothing came back
    assert torture.allows(row.proxy, status)
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from waiting import PATIENCE_S

_DATA: Final = Path(__file__).parent / "data"


class Row(NamedTuple):
    """A row of the tables; data/README.md tells what the columns mean."""

    file: str
    section: str
    title: str
    kind: str
    proxy: str
    registrar: str
    uas: str
    note: str


def rows(corpus: str) -> list[Row]:
    """The table of "rfc4475" or "rfc5118"."""
    with (_DATA / f"{corpus}.tsv").open(newline="", encoding="utf-8") as table:
        return [Row(*cells) for cells in csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]


def messages() -> Iterator[tuple[str, bytes, Row]]:
    """Every message of both RFCs: its name ("rfc4475/wsinv"), its octets, its row."""
    for corpus, wire in (("rfc4475", _as_is), ("rfc5118", _on_the_wire)):
        for row in rows(corpus):
            raw = (_DATA / corpus / row.file).read_bytes()
            yield f"{corpus}/{row.file.removesuffix('.dat')}", wire(raw), row


def message(name: str) -> bytes:
    """The octets of one message by its name ("rfc4475/wsinv")."""
    return next(wire for found, wire, _ in messages() if found == name)


def _as_is(raw: bytes) -> bytes:
    return raw


def _on_the_wire(raw: bytes) -> bytes:
    """Line ends as RFC 3261 7 has them, the blank line, and the length of the body that is there.

    RFC 5118 counts a body in three places (4.6, 4.8, 4.9) and is wrong in each; that is no
    part of what those messages are to show, and one of them would be refused for it.
    """
    wire = raw.replace(b"\n", b"\r\n")
    head, blank, body = wire.partition(b"\r\n\r\n")
    before, name, counted = head.partition(b"Content-Length: ")
    after = counted.partition(b"\r\n")
    if not blank:
        return wire + b"\r\n"
    return before + name + str(len(body)).encode() + after[1] + after[2] + blank + body


def allows(expected: str, status: int | None) -> bool:
    """Whether a table's cell allows this answer; None: nothing was answered."""
    return any(_allows(word, status) for word in expected.split("|"))


def wait_s(expected: str) -> float:
    """How long an answer is waited for of which a table's cell says this."""
    if expected == "drop":
        return 0.1
    return 0.5 if allows(expected, None) else PATIENCE_S


def _allows(word: str, status: int | None) -> bool:
    if word == "any":
        return True
    if word == "not400":
        return status != 400
    if word == "drop" or status is None:
        return word == "drop" and status is None
    if word.endswith("xx"):
        return status // 100 == int(word[0])
    return status == int(word)
