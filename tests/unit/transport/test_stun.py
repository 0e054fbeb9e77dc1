"""STUN: the vectors of RFC 5769, and whatever must get no answer."""

import random
from zlib import crc32

import pytest

from oneproxy.transport.stun import COOKIE, answer

#: RFC 5769: the transaction of all its messages.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
#: RFC 5769 2.1, whole: it holds PRIORITY, which only ICE understands.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
#: RFC 5769 2.2 and 2.3: XOR-MAPPED-ADDRESS of their responses.
MAPPED_4 = bytes.fromhex("002000080001a147e112a643")
MAPPED_6 = bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def binding(attributes: bytes = b"", kind: bytes = b"\x00\x01") -> bytes:
    return kind + len(attributes).to_bytes(2, "big") + COOKIE + TRANSACTION + attributes


def attribute(kind: int, value: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def signed(data: bytes) -> bytes:
    """With a fingerprint behind it."""
    longer = data[:2] + (len(data) - 12).to_bytes(2, "big") + data[4:]
    return longer + attribute(0x8028, (crc32(longer) ^ 0x5354554E).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("host", "mapped"),
    [("192.0.2.1", MAPPED_4), ("2001:db8:1234:5678:11:2233:4455:6677", MAPPED_6)],
)
def test_a_binding_request_is_told_where_it_came_from(host: str, mapped: bytes) -> None:
    assert answer(binding(), host, 32853) == binding(mapped, b"\x01\x01")


def test_what_need_not_be_understood_is_passed_over() -> None:
    software, username = attribute(0x8022, b"phone 1.0"), attribute(0x0006, b"alice")
    assert answer(binding(software + username), "192.0.2.1", 32853) == binding(MAPPED_4, b"\x01\x01")


def test_a_fingerprint_is_checked_and_given_back() -> None:
    got = answer(signed(binding()), "192.0.2.1", 32853)
    assert got == signed(binding(MAPPED_4, b"\x01\x01"))
    wrong = bytearray(signed(binding()))
    wrong[-1] ^= 1
    assert answer(bytes(wrong), "192.0.2.1", 32853) is None


def test_what_has_to_be_understood_and_is_not_gets_420_with_its_names() -> None:
    expected = (attribute(0x0009, b"\0\0\x04\x14Unknown Attribute") + attribute(0x000A, b"\x00\x24"),)
    assert answer(SAMPLE, "192.0.2.1", 32853) == signed(binding(expected[0], b"\x01\x11"))
    got = answer(binding(attribute(3) + attribute(0x7FFF)), "192.0.2.1", 1)
    assert got is not None
    assert got.endswith(attribute(0x000A, b"\x00\x03\x7f\xff"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        binding()[:19],
        binding() + b"\0\0\0\0",
        binding(b"\0"),
        binding().replace(COOKIE, b"\x21\x12\xa4\x43"),
        binding(kind=b"\x01\x01"),
        binding(kind=b"\x00\x11"),
        binding(kind=b"\x00\x03"),
        binding(b"\x80\x22\x00\x08abcd"),
        binding(b"\x80\x22\xff\xff"),
        signed(binding())[:2] + b"\x00\x10" + signed(binding())[4:] + attribute(0x8022, b"abcd"),
    ],
    ids=[
        "nothing",
        "short",
        "longer-than-said",
        "odd",
        "cookie",
        "response",
        "indication",
        "allocate",
        "attribute-too-long",
        "attribute-far-too-long",
        "behind-fingerprint",
    ],
)
def test_nothing_else_is_answered(data: bytes) -> None:
    assert answer(data, "192.0.2.1", 5060) is None


def test_garbage_is_never_answered_with_much_more_than_came() -> None:
    source = random.Random(5)
    for _ in range(5000):
        attributes = source.randbytes(source.randrange(0, 40) * 4)
        got = answer(binding(attributes), "2001:db8::1", 5060)
        assert got is None or len(got) <= len(attributes) + 60
