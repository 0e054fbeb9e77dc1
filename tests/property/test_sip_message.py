"""No datagram breaks splitting, and a message that was split is still the same message."""

from hypothesis import example, given
from hypothesis import strategies as st

from oneproxy.sip import read
from oneproxy.sip.check import check
from oneproxy.sip.edit import Edit
from oneproxy.sip.fields import split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import COMPACT, Message, Request, Response, header_name, split
from rfc import torture

GOLDEN = [wire for _, wire, _ in torture.messages()]

READERS = (
    read.from_address,
    read.to_address,
    read.contacts,
    read.routes,
    read.record_routes,
    read.paths,
    read.vias,
    read.cseq,
    read.max_forwards,
    read.content_length,
    read.expires,
    read.require,
    read.proxy_require,
    read.supported,
)

NAMES = st.sampled_from(["Via", "v", "VIA ", "From", "Contact", "m", "X-Own", "Route", "l", "CSeq"])
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
)
BODIES = st.binary(max_size=40)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """Octets that look like SIP here and there."""
    words = [
        b"INVITE",
        b" ",
        b"sip:a@b",
        b"SIP/2.0",
        b"200",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b":",
        b"Via",
        b"l: 0",
    ]
    return b"".join(draw(st.lists(st.sampled_from(words) | st.binary(max_size=3), max_size=30)))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A torture message with a few octets changed, lost, or put in."""
    wire = bytearray(draw(st.sampled_from(GOLDEN)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(wire) - 1))
        wire[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(wire)


def take_apart(data: bytes) -> Message | Malformed:
    """Split and read all that can be read; whatever comes, nothing is raised."""
    message = split(data)
    if isinstance(message, Malformed):
        return message
    for reader in READERS:
        reader(message)
    if isinstance(message, Request):
        fault = check(message)
        assert fault is None or isinstance(fault, Malformed)
        assert message.fault is None or fault is not None
    return message


@given(st.binary(max_size=200) | datagrams() | broken())
@example(b"")
@example(b"\r\n\r\n")
@example(b"A b SIP/2.0\r\n\r\n\r\n")
@example(b"SIP/2.0 099 x\r\n\r\n")
@example(b"A  SIP/2.0\r\n\r\n")
def test_every_octet_string_is_a_message_or_malformed(data: bytes) -> None:
    message = take_apart(data)
    if isinstance(message, Malformed):
        return
    assert len(message.lines) == len(message.values)
    assert sorted(at for name in message.first for at in message.positions(name)) == list(
        range(1, len(message.lines))
    )
    if message.fault is None:
        again = split(message.bytes())
        assert not isinstance(again, Malformed)
        assert (again.lines, again.values, again.body) == (message.lines, message.values, message.body)
        assert (again.first, again.again, again.fault) == (message.first, message.again, None)
        assert not any("\r" in line or "\n" in line for line in message.lines)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), BODIES)
def test_what_was_written_is_found_under_its_name(headers: list[tuple[str, str]], body: bytes) -> None:
    head = "".join(f"{name}:{value}\r\n" for name, value in headers)
    wire = f"INFO sip:a SIP/2.0\r\n{head}\r\n".encode("latin-1") + body
    message = split(wire)
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.version) == ("INFO", "sip:a", "SIP/2.0")
    assert (message.fault, message.body.encode("latin-1"), message.bytes()) == (None, body, wire)
    for name in {header_name(written) for written, _ in headers}:
        values = [value.strip(" \t") for written, value in headers if header_name(written) == name]
        assert message.all(name) == values
        assert message.get(name) == values[0]


@given(
    st.lists(st.lists(st.text("abc:", min_size=1, max_size=5), min_size=1, max_size=4), max_size=5),
    st.sampled_from(["\r\n ", "\r\n\t", " \r\n  ", "\t\r\n \t "]),
)
def test_a_folded_header_says_what_it_says_on_one_line(values: list[list[str]], fold: str) -> None:
    names = [f"X-{number}" for number in range(len(values))]
    folded = "".join(f"{name}: {fold.join(words)}\r\n" for name, words in zip(names, values, strict=True))
    plain = "".join(f"{name}: {' '.join(words)}\r\n" for name, words in zip(names, values, strict=True))
    found = [split(f"INFO sip:a SIP/2.0\r\n{head}\r\nbody".encode()) for head in (folded, plain)]
    for message in found:
        assert isinstance(message, Request)
        assert message.bytes() == f"INFO sip:a SIP/2.0\r\n{plain}\r\nbody".encode()
        assert message.fault is None


@given(st.integers(0, 999), VALUES)
def test_a_status_line_is_read_for_every_class(status: int, reason: str) -> None:
    message = split(f"SIP/2.0 {status:03} {reason}\r\n\r\n".encode("latin-1"))
    if not 100 <= status <= 699:
        assert message is Malformed.STATUS
        return
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.fault) == (status, reason, None)


RESPONSE_LINES = st.sampled_from(
    ["Via: SIP/2.0/UDP a", "via: b", "v: c", "Via: d, e", "Via:  f ", "\tVia: z", " folded"]
) | st.sampled_from(
    ["CSeq: 1 INVITE", "CSeq:\t2  BYE ", "CSeq: 3\r\n ACK", "CSeq: 5\tINFO", "cseq: 4 OPTIONS", "l: 0"]
)


@given(st.lists(RESPONSE_LINES, max_size=6))
def test_what_a_response_tells_at_a_glance_is_what_its_header_fields_say(lines: list[str]) -> None:
    wire = "\r\n".join(["SIP/2.0 200 OK", *lines, "", "body"]).encode()
    message = split(wire)
    if isinstance(message, Malformed):
        return
    assert isinstance(message, Response)
    top, method, without = message.top_via, message.cseq_method(), message.without_top_via()
    via = message.get("via")
    assert (top is None) == (via is None)
    assert via is None or via.startswith((top or "").strip(" \t"))
    cseq = read.cseq(message)
    if cseq is not None and not isinstance(cseq, Malformed):
        assert method == cseq[1]
    if without is not None and message.fault is None:
        assert message.positions("via")[0] == 1
        shorter = split(without)
        assert isinstance(shorter, Response)
        edit = Edit(message)
        edit.pop("via")
        popped = split(edit.join())
        assert isinstance(popped, Response)
        assert split_list(", ".join(shorter.all("via"))) == split_list(", ".join(popped.all("via")))
        others = message.lines[2:]
        assert shorter.lines[-len(others) :] == others if others else True
        assert shorter.body == message.body


def test_every_compact_form_is_its_full_header() -> None:
    for short, long in COMPACT.items():
        for written in (short, short.upper(), f"{short} ", long, long.upper()):
            message = split(f"INFO sip:a SIP/2.0\r\n{written}: x\r\n\r\n".encode())
            assert isinstance(message, Request)
            assert message.get(long) == "x"
