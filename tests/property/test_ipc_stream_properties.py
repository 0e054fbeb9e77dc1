"""Frames survive any cutting of the stream that carries them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneproxy.ipc.messages import FromRecorder, Hello, Load, Page, Save, Saved, ToRecorder, Welcome
from oneproxy.ipc.stream import Decoder, StreamError, encode
from oneproxy.registrar.bindings import Binding, Change

latin_1 = st.text(st.characters(max_codepoint=255), max_size=20)
seconds = st.floats(0, 4e9)
bindings = st.builds(
    Binding,
    latin_1,
    seconds,
    st.integers(0, 1000),
    latin_1,
    st.integers(0, 2**31 - 1),
    latin_1,
    seconds,
    st.lists(latin_1, max_size=2).map(tuple),
    latin_1,
    latin_1,
    st.integers(0, 2**31 - 1),
)
changes = st.builds(
    Change, latin_1, st.lists(latin_1, max_size=2).map(tuple), st.lists(bindings, max_size=2).map(tuple)
)
to_recorder = st.one_of(
    st.builds(Hello, latin_1, latin_1),
    st.builds(Load, seconds),
    st.builds(Save, st.integers(0, 2**53), st.lists(changes, max_size=3)),
)
from_recorder = st.one_of(
    st.builds(Welcome, st.binary(max_size=40)),
    st.builds(Page, st.lists(st.tuples(latin_1, bindings), max_size=3), st.booleans()),
    st.builds(Saved, st.integers(0, 2**53), st.lists(st.integers(0, 9), max_size=2).map(tuple)),
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at `cuts`, which are counted round its length."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(at)]


@given(st.lists(to_recorder, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_what_a_node_says_arrives_however_the_stream_is_cut(said: list[ToRecorder], cuts: list[int]) -> None:
    decoder = Decoder[ToRecorder](ToRecorder)
    stream = b"".join(map(encode, said))
    heard = [message for piece in pieces(stream, cuts) for message in decoder.feed(piece)]
    assert heard == said


@given(st.lists(from_recorder, min_size=1, max_size=2))
def test_what_the_recorder_says_arrives_octet_by_octet(said: list[FromRecorder]) -> None:
    decoder = Decoder[FromRecorder](FromRecorder)
    stream = b"".join(map(encode, said))
    heard = [message for octet in stream for message in decoder.feed(bytes([octet]))]
    assert heard == said


@given(st.binary(max_size=200))
def test_any_octets_are_messages_or_a_stream_error_or_wait_for_more(data: bytes) -> None:
    decoder = Decoder[ToRecorder](ToRecorder, 100)
    try:
        heard = decoder.feed(data)
    except StreamError:
        return
    assert all(isinstance(message, (Hello, Load, Save)) for message in heard)
    if not heard and len(data) >= 4:
        assert int.from_bytes(data[:4], "big") > len(data) - 4
    with pytest.raises(StreamError):
        decoder.feed(b"\xff" * 200)
