"""The framing that the processes speak in."""

import subprocess
import sys

import pytest

from oneproxy.ipc import stream
from oneproxy.ipc.messages import FromChild, Ready, Saved
from oneproxy.ipc.stream import Decoder, StreamError, encode


def test_a_frame_is_four_octets_of_length_and_msgpack() -> None:
    frame = encode(Saved(7))
    assert frame[:4] == (len(frame) - 4).to_bytes(4, "big")
    assert frame[4:] == b"\x84\xa4type\xa5Saved\xa5batch\x07\xa7refused\x90\xa5later\x90"


def test_a_message_above_the_maximum_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_FRAME", 20)
    assert encode(Ready("")) == b"\x00\x00\x00\x14\x82\xa4type\xa5Ready\xa6detail\xa0"
    with pytest.raises(StreamError, match="a frame of 21 octets is above the maximum of 20"):
        encode(Ready("x"))


def test_a_length_above_the_maximum_is_refused_before_the_frame_has_come() -> None:
    decoder = Decoder[FromChild](FromChild, 10)
    with pytest.raises(StreamError, match="a frame of 11 octets is above the maximum of 10"):
        decoder.feed(b"\x00\x00\x00\x0b")


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", encode(Saved(1))[4:], b"\x01\x02"])
def test_a_frame_of_something_else_is_refused(body: bytes) -> None:
    decoder = Decoder[FromChild](FromChild)
    with pytest.raises(StreamError, match="a frame that cannot be read"):
        decoder.feed(len(body).to_bytes(4, "big") + body)


def test_the_maximum_may_rise_while_a_frame_is_under_way() -> None:
    decoder = Decoder[FromChild](FromChild, 40)
    small, large = encode(Ready("a")), encode(Ready("b" * 100))
    assert decoder.feed(small + large[:2]) == [Ready("a")]
    decoder.maximum = 200
    assert decoder.feed(large[2:]) == [Ready("b" * 100)]


def test_speaking_to_the_others_takes_no_database_and_no_configuration_library() -> None:
    names = "('sqlalchemy', 'alembic', 'psycopg', 'pydantic')"
    modules = "oneproxy.ipc.link, oneproxy.ipc.child, oneproxy.ipc.peer, oneproxy.ipc.place"
    script = f"import sys, {modules}; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
