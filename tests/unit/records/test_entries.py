"""The octets of a journal."""

import pytest

from oneproxy.records.entries import HEADER, LONGEST, MAGIC, Decoder, Fault, Kind, encode

WRITTEN = [(Kind.STANDS, 1, b"one"), (Kind.ENDED, 1, b""), (Kind.STANDS, 2**64 - 1, b"\x00" * 300)]


def test_an_entry_is_what_the_page_says_it_is() -> None:
    assert HEADER == b"OneProxyJrnl\x01\0\0\0"
    assert encode(Kind.STANDS, 2, b"ab") == bytes.fromhex("0b000000 83e4a671 01 0200000000000000 6162")


def test_what_was_written_is_read() -> None:
    decoder = Decoder()
    octets = HEADER + b"".join(encode(*entry) for entry in WRITTEN)
    assert decoder.feed(octets) == WRITTEN
    assert (decoder.at, decoder.fault) == (len(octets), None)


def test_octets_that_come_one_by_one_are_the_same_entries() -> None:
    decoder = Decoder()
    octets = HEADER + b"".join(encode(*entry) for entry in WRITTEN)
    read = [entry for at in range(len(octets)) for entry in decoder.feed(octets[at : at + 1])]
    assert read == WRITTEN
    assert (decoder.at, decoder.fault) == (len(octets), None)


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"SQLite format 3\0", Fault.FOREIGN),
        (b"S", Fault.FOREIGN),
        (MAGIC + b"\x02\0\0\0", Fault.VERSION),
        (MAGIC + b"\x02", Fault.VERSION),
        (b"", None),
        (HEADER[:5], None),
    ],
)
def test_a_file_is_judged_by_its_first_octets(octets: bytes, fault: Fault | None) -> None:
    decoder = Decoder()
    assert decoder.feed(octets) == []
    assert (decoder.at, decoder.fault) == (0, fault)


@pytest.mark.parametrize("length", [0, 8, LONGEST + 10, 2**32 - 1])
def test_a_length_that_no_entry_has_is_not_waited_for(length: int) -> None:
    decoder = Decoder()
    good = HEADER + encode(Kind.STANDS, 1)
    assert len(decoder.feed(good + length.to_bytes(4, "little") + b"\0" * 20)) == 1
    assert (decoder.at, decoder.fault) == (len(good), Fault.CORRUPT)
    assert decoder.feed(encode(Kind.STANDS, 2)) == []


def test_the_longest_entry_is_one() -> None:
    decoder = Decoder()
    assert len(decoder.feed(HEADER + encode(Kind.STANDS, 1, b"x" * LONGEST))) == 1
