"""A stream gives the same messages, however the network cuts it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from oneproxy.sip.framing import PING, PONG, Framer
from oneproxy.sip.malformed import Malformed
from rfc import torture

GOLDEN = [wire for _, wire, _ in torture.messages()]

BODIES = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Content-Length: 3\r\n\r\nabc"])


def framed(body: bytes) -> bytes:
    return b"MESSAGE sip:a SIP/2.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body


MESSAGES = BODIES.map(framed)
STREAMS = st.lists(
    MESSAGES
    | st.sampled_from([PING, PONG, b"\r", b"X\r\n\r\n", b"L: 1\r\n\r\n"])
    | st.sampled_from(GOLDEN)
    | st.binary(max_size=20),
    max_size=6,
).map(b"".join)


def feed_in(framer: Framer, stream: bytes, cuts: list[int]) -> list[bytes | Malformed]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [item for start, end in pairwise(edges) for item in framer.feed(stream[start:end])]


@given(STREAMS, st.lists(st.integers(0, 3000), max_size=8))
def test_cuts_at_random_places_change_nothing(stream: bytes, cuts: list[int]) -> None:
    whole, cut = Framer(limit=2000), Framer(limit=2000)
    assert feed_in(cut, stream, cuts) == feed_in(whole, stream, [])
    assert cut.failed == whole.failed


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 600), max_size=8))
def test_every_message_comes_out_as_it_went_in(messages: list[bytes], cuts: list[int]) -> None:
    assert feed_in(Framer(), b"".join(messages), cuts) == messages


def test_every_torture_message_is_framed_the_same_octet_by_octet() -> None:
    for wire in GOLDEN:
        whole, by_octet = Framer(), Framer()
        assert feed_in(by_octet, wire, list(range(len(wire)))) == feed_in(whole, wire, [])
        assert by_octet.failed == whole.failed
