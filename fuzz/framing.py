"""What has to hold for any octets on a connection, however the network cuts them.

An input is a line of numbers (the limit of a message, then where the stream is cut) and
the stream:

    2000 10 11 300
    OPTIONS sip:example.com SIP/2.0 ...

What stands in place of a number is no cut; without a number the limit is the usual one.
"""

from itertools import pairwise
from typing import Final

from oneproxy.sip.framing import PING, Framer, content_length
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import MAX_MESSAGE, Request, split

#: The largest input that the fuzzer makes.
MAX_INPUT: Final = 8192
_MOST_CUTS: Final = 64
#: A keep-alive has to fit, whatever the limit.
_LEAST_LIMIT: Final = 16
#: Streams up to this length are also fed octet by octet.
_OCTET_BY_OCTET: Final = 1000


def run(data: bytes) -> None:
    """Feed the stream in `data` whole and in pieces, and compare."""
    written, _, stream = data.partition(b"\n")
    numbers = [int(word) for word in written[:400].split() if word.isdigit() and len(word) < 6]
    limit = min(max(numbers[0], _LEAST_LIMIT), MAX_MESSAGE) if numbers else MAX_MESSAGE
    whole = Framer(limit)
    items = whole.feed(stream)
    _check_items(items, stream, whole, limit)
    _compare(stream, numbers[1 : 1 + _MOST_CUTS], limit, items, whole.failed)
    if len(stream) <= _OCTET_BY_OCTET:
        _compare(stream, list(range(len(stream))), limit, items, whole.failed)


def _check_items(items: list[bytes | Malformed], stream: bytes, framer: Framer, limit: int) -> None:
    """Each item is a piece of the stream, in order, within the limit, and says how long it is."""
    at = 0
    for item in items:
        if isinstance(item, Malformed):
            assert item is items[-1]
            assert framer.failed is not None
            continue
        found = stream.find(item, at)
        # Nothing is skipped but an empty line before a message (RFC 3261 7.5).
        assert stream[at:found] in (b"", b"\r\n")
        at = found + len(item)
        if item != PING:
            assert len(item) <= limit
            head, blank, body = item.partition(b"\r\n\r\n")
            assert blank
            assert content_length(head) == len(body)
            _check_split(item, body)
    assert (framer.failed is not None) == bool(items and isinstance(items[-1], Malformed))
    assert framer.feed(b"") == []


def _check_split(item: bytes, body: bytes) -> None:
    """Framing and splitting agree on where the body begins."""
    message = split(item)
    if isinstance(message, Request) and message.fault is None:
        assert message.body.encode("latin-1") == body


def _compare(
    stream: bytes, cuts: list[int], limit: int, items: list[bytes | Malformed], failed: bytes | None
) -> None:
    """The stream in pieces gives the same items, and no more is held than a message and a read."""
    framer = Framer(limit)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    got: list[bytes | Malformed] = []
    for start, end in pairwise(edges):
        got += framer.feed(stream[start:end])
        # Held is private, and still the one thing about a connection that must not grow.
        assert len(framer._buffer) <= limit + end - start
        assert framer.failed is None or not framer._buffer
    assert got == items
    assert framer.failed == failed
