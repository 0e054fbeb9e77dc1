"""The octets of a segment of a journal."""

import pytest

from oneproxy.records.entries import (
    ENTRY_OCTETS,
    HEADER_OCTETS,
    LONGEST,
    MAGIC,
    Decoder,
    Fault,
    Header,
    Kind,
    decode_header,
    encode,
    encode_header,
    split,
)

WRITTEN = [
    (Kind.STANDS, 1, b"one"),
    (Kind.ENDED, 1, b""),
    (Kind.RECORD, 2**64 - 1, b"\x00" * 300),
]
HEADER = Header(42, 40, 1_000_000)


def test_an_entry_is_what_the_page_says_it_is() -> None:
    assert encode(Kind.STANDS, 2, b"ab") == bytes.fromhex("0b000000 83e4a671 01 0200000000000000 6162")
    assert len(encode(Kind.ENDED, 7)) == ENTRY_OCTETS


def test_a_header_is_what_the_page_says_it_is() -> None:
    octets = encode_header(HEADER)
    assert len(octets) == HEADER_OCTETS
    assert octets[:-4] == b"OneProxyJrnl\x02\0\0\0" + bytes.fromhex(
        "2a00000000000000 2800000000000000 40420f0000000000"
    )
    assert decode_header(octets) == HEADER


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"SQLite format 3\0" + bytes(40), Fault.FOREIGN),
        (b"S", Fault.FOREIGN),
        (MAGIC + b"\x03\0\0\0" + bytes(28), Fault.VERSION),
        (encode_header(HEADER)[:-1], Fault.CORRUPT),
        (encode_header(HEADER)[:-1] + b"x", Fault.CORRUPT),
        (b"", None),
        (bytes(HEADER_OCTETS), None),
        (bytes(5), None),
    ],
)
def test_a_segment_is_judged_by_its_first_octets(octets: bytes, fault: Fault | None) -> None:
    assert decode_header(octets) == fault


def test_an_entry_is_split_into_what_it_was_made_of() -> None:
    assert [split(encode(*entry)) for entry in WRITTEN] == WRITTEN


def test_what_was_written_is_read() -> None:
    decoder = Decoder()
    octets = b"".join(encode(*entry) for entry in WRITTEN)
    assert decoder.feed(octets) == WRITTEN
    assert (decoder.at, decoder.fault, decoder.is_over) == (len(octets), None, False)


def test_octets_that_come_one_by_one_are_the_same_entries() -> None:
    decoder = Decoder()
    octets = b"".join(encode(*entry) for entry in WRITTEN)
    read = [entry for at in range(len(octets)) for entry in decoder.feed(octets[at : at + 1])]
    assert read == WRITTEN
    assert (decoder.at, decoder.fault) == (len(octets), None)


def test_zeros_say_that_nothing_further_is_written() -> None:
    decoder = Decoder()
    octets = encode(*WRITTEN[0])
    assert decoder.feed(octets + bytes(100)) == WRITTEN[:1]
    assert (decoder.at, decoder.fault, decoder.is_over) == (len(octets), None, True)
    assert decoder.feed(encode(Kind.STANDS, 2)) == []


@pytest.mark.parametrize(("left", "fault"), [(b"", None), (b"\0\0\0", None), (b"\x0b\0\0", Fault.CORRUPT)])
def test_a_file_that_ends_ends_what_is_written(left: bytes, fault: Fault | None) -> None:
    decoder = Decoder()
    decoder.feed(encode(*WRITTEN[0]) + left)
    decoder.end()
    assert decoder.fault == fault
    assert decoder.is_over == (fault is None)


@pytest.mark.parametrize("length", [1, 8, LONGEST + 10, 2**32 - 1])
def test_a_length_that_no_entry_has_is_not_waited_for(length: int) -> None:
    decoder = Decoder()
    good = encode(Kind.STANDS, 1)
    assert len(decoder.feed(good + length.to_bytes(4, "little") + b"\0" * 20)) == 1
    assert (decoder.at, decoder.fault) == (len(good), Fault.CORRUPT)
    assert decoder.feed(encode(Kind.STANDS, 2)) == []
    assert not decoder.pass_over()


def test_an_entry_that_is_spoilt_is_passed_over_where_its_length_is_not() -> None:
    decoder = Decoder()
    spoilt = encode(Kind.STANDS, 1, b"spoilt")[:-1] + b"x"
    assert decoder.feed(spoilt + encode(*WRITTEN[0])) == []
    assert decoder.fault == Fault.CORRUPT
    assert decoder.pass_over()
    assert decoder.feed(b"") == WRITTEN[:1]
    assert decoder.at == len(spoilt + encode(*WRITTEN[0]))


def test_the_longest_entry_is_one() -> None:
    decoder = Decoder()
    assert len(decoder.feed(encode(Kind.STANDS, 1, b"x" * LONGEST))) == 1
