"""What has to hold for any datagram, and for any text that is read as a header value.

    run(data)       returns, or raises AssertionError (or whatever the code raised)
    grow(data)      the same, of inputs of another size; slow, so not every input is looked at

A datagram is split, checked, read, answered, forwarded and split again. Each of its
header values, and the whole input where it is no message, goes through every parser;
what was read has to come back from what is written of it. Some inputs are also blown up
to the size of the largest datagram: what takes quadratic time shows there.
"""

from collections.abc import Callable
from time import thread_time
from typing import Final, TypeVar
from zlib import crc32

from oneproxy.sip import read
from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.check import check
from oneproxy.sip.credentials import parse_challenge, parse_credentials
from oneproxy.sip.edit import Edit
from oneproxy.sip.fields import (
    format_params,
    is_token,
    option_tags,
    parse_cseq,
    parse_delta_seconds,
    parse_number,
    parse_params,
    parse_q,
    quote,
    split_list,
    unquote,
)
from oneproxy.sip.framing import content_length
from oneproxy.sip.host import format_host, parse_hostport
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Message, Request, Response, split
from oneproxy.sip.response import respond
from oneproxy.sip.uri import Uri, escape_user, parse_uri, same_uri, unescape
from oneproxy.sip.via import Via, parse_via

#: The largest input that the fuzzer makes; larger ones come of `_blown_up`.
MAX_INPUT: Final = 4096
_LARGE: Final = 60_000
#: One input of so many is blown up: it costs as much as many others.
_ONE_IN: Final = 128
#: Below this no growth is measured. What is linear grows 4 times, what is quadratic 16 times.
_NOTICED_S: Final = 0.002
_QUADRATIC: Final = 9
#: Header values that are read of one message.
_VALUES_READ: Final = 40
_OUR_VIA: Final = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours"
_TAG: Final = "f0e1d2c3"

_READERS: Final[tuple[Callable[[Message], object], ...]] = (
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

_PARSERS: Final[tuple[Callable[[str], object], ...]] = (
    parse_uri,
    parse_address,
    parse_via,
    parse_params,
    parse_credentials,
    parse_hostport,
    parse_cseq,
    parse_number,
    split_list,
    unquote,
    unescape,
)

_Text = TypeVar("_Text", bytes, str)


def run(data: bytes) -> None:
    """Hold `data` against everything that this file knows."""
    message = split(data)
    if isinstance(message, Malformed):
        read_text(data.decode("latin-1"))
    else:
        take_apart(message)
        for value in message.values[1 : 1 + _VALUES_READ]:
            read_text(value)
        if isinstance(message, Request):
            read_text(message.uri)


# Messages.


def take_apart(message: Message) -> None:
    """Split again, read, check, answer and forward one message."""
    _check_index(message)
    for reader in _READERS:
        reader(message)
    if message.fault is None:
        again = split(message.bytes())
        assert not isinstance(again, Malformed)
        _assert_same(again, message)
        assert again.body == message.body
    if isinstance(message, Request):
        _check_request(message)
    elif isinstance(message, Response):
        _check_response(message)


def _check_index(message: Message) -> None:
    """Lines, values and the index say the same."""
    assert len(message.lines) == len(message.values)
    places = sorted(at for name in message.first for at in message.positions(name))
    assert places == list(range(1, len(message.lines)))
    if message.fault is None:
        assert not any("\r" in line or "\n" in line for line in message.lines)


def _assert_same(again: Message, message: Message) -> None:
    assert (again.lines, again.values) == (message.lines, message.values)
    assert (again.first, again.again, again.fault) == (message.first, message.again, message.fault)


def _check_request(request: Request) -> None:
    fault = check(request)
    assert request.fault is None or fault is not None
    _check_answer(request, fault)
    if fault is not None:
        return
    found = (request.call_id, request.cseq, request.from_tag, request.to_tag, request.max_forwards)
    assert read.content_length(request) in (None, len(request.body))
    again = split(request.bytes())
    assert isinstance(again, Request)
    assert check(again) is None
    assert found == (again.call_id, again.cseq, again.from_tag, again.to_tag, again.max_forwards)
    assert again.body == request.body
    _check_forwarding(request)


def _check_answer(request: Request, fault: Malformed | None) -> None:
    """An answer is a response to this request, and hardly larger than it."""
    reason = "Not Found"
    data = respond(request, 404, reason, _TAG)
    own = f"SIP/2.0 404 {reason}\r\n;tag={_TAG}Content-Length: 0\r\n\r\n"
    # Whoever forges a source address must not get more sent there than he sends.
    assert len(data) <= len(request.bytes()) + len(own)
    answer = split(data)
    assert isinstance(answer, Response)
    assert answer.fault in (None, request.fault)
    assert answer.fault is not Malformed.HEADER_LINE
    if request.fault is not None:
        return
    assert (answer.status, answer.reason, answer.fault, answer.body) == (404, reason, None, "")
    assert answer.all("via") == request.all("via")
    for name in ("from", "call-id", "cseq"):
        assert answer.get(name) == request.get(name) or name in request.again
    if fault is None:
        to = read.to_address(answer)
        assert isinstance(to, Address)
        assert to.tag == (request.to_tag or _TAG)


def _check_forwarding(request: Request) -> None:
    """A request goes on with our Via on top, one hop less, and otherwise as it came."""
    edit = Edit(request)
    edit.lines[0] = f"{request.method} sip:b@192.0.2.2 SIP/2.0"
    if "max-forwards" in request.first:
        edit.lines[request.first["max-forwards"]] = "Max-Forwards: 7"
    else:
        edit.append("Max-Forwards: 7")
    edit.drop_all("route")
    edit.push(f"Via: {_OUR_VIA}")
    sent = split(edit.join())
    assert isinstance(sent, Request)
    # A header more than came may be one too many.
    assert check(sent) in (None, Malformed.TOO_MANY_HEADERS)
    if sent.fault is not None:
        return
    assert sent.all("via") == [_OUR_VIA, *request.all("via")]
    assert (sent.max_forwards, sent.body, sent.all("route")) == (7, request.body, [])
    ours = {"via", "max-forwards", "route"}
    for name in request.first.keys() | sent.first.keys() - ours:
        assert name in ours or sent.all(name) == request.all(name)


def _check_response(response: Response) -> None:
    """What is told at a glance is what the header fields say, and the top Via goes alone."""
    assert (response.top_via is None) == (response.get("via") is None)
    cseq = read.cseq(response)
    if isinstance(cseq, tuple):
        assert response.cseq_method() == cseq[1]
    if response.fault is not None or not response.top_via:
        # Without a first Via, or with an empty one, it answers nothing of ours and goes nowhere.
        return
    edit = Edit(response)
    edit.pop("via")
    popped = split(edit.join())
    assert isinstance(popped, Response)
    assert popped.fault is None
    values, left = _via_values(response), _via_values(popped)
    assert left == values[-len(left) :] if left else True
    assert len(left) < max(1, len(values))
    data = response.without_top_via()
    if data is not None:
        shorter = split(data)
        assert isinstance(shorter, Response)
        assert _via_values(shorter) == left
        assert shorter.body == response.body


def _via_values(message: Message) -> list[str]:
    """Every Via value, those that are empty left out."""
    return [value for line in message.all("via") for value in split_list(line) if value]


# Texts.


def read_text(text: str) -> None:
    """Give `text` to every parser; what one of them reads it can write and read again."""
    _check_uri(text)
    _check_address(text)
    _check_via(text)
    _check_credentials(text)
    params = parse_params(text)
    if params is not None:
        assert parse_params(format_params(params)) == params
    where = parse_hostport(text)
    if where is not None:
        host, port = where
        assert parse_hostport(format_host(host) + ("" if port is None else f":{port}")) == where
    _check_fields(text)


def _parts(value: object) -> tuple[object, ...]:
    """What a value says, without the text that it came as."""
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return tuple(getattr(value, name) for name in sorted(names) if name != "text")


def _assert_one_line(written: str, text: str) -> None:
    """What is written anew holds no line end that did not stand in the text already."""
    assert "\r" in text or "\n" in text or not ("\r" in written or "\n" in written)


def _check_uri(text: str) -> None:
    uri = parse_uri(text)
    if isinstance(uri, Malformed):
        return
    assert uri.text == text
    written = uri.format()
    _assert_one_line(written, text)
    again = parse_uri(written)
    assert isinstance(again, Uri)
    assert _parts(again) == _parts(uri)
    assert again.format() == written
    assert same_uri(uri, again)
    assert same_uri(again, uri)
    if uri.host and uri.user is not None:
        named = parse_uri(f"sip:{uri.aor()}")
        assert isinstance(named, Uri)
        assert named.aor() == uri.aor()


def _check_address(text: str) -> None:
    address = parse_address(text)
    if isinstance(address, Malformed):
        return
    again = parse_address(address.format())
    assert isinstance(again, Address)
    assert _parts(again) == _parts(address)
    uri = address.parsed()
    assert isinstance(uri, Malformed) or uri.text == address.uri


def _check_via(text: str) -> None:
    via = parse_via(text)
    if isinstance(via, Malformed):
        return
    again = parse_via(via.format())
    assert isinstance(again, Via)
    assert _parts(again) == _parts(via)
    assert (again.branch, again.received, again.rport) == (via.branch, via.received, via.rport)


def _check_credentials(text: str) -> None:
    for parse in (parse_credentials, parse_challenge):
        found = parse(text)
        if isinstance(found, Malformed):
            continue
        again = parse(found.format())
        assert not isinstance(again, Malformed)
        assert (again.scheme, again.params) == (found.scheme, found.params)


def _check_fields(text: str) -> None:
    assert unquote(quote(text)) == text
    assert unescape(escape_user(text)) == text
    elements = split_list(text)
    joined = ",".join(elements).replace(" ", "").replace("\t", "")
    assert joined == text.replace(" ", "").replace("\t", "")
    assert option_tags([text]) == [element for element in elements if element]
    cseq = parse_cseq(text)
    if not isinstance(cseq, Malformed):
        assert 0 <= cseq[0] < 2**31
        assert is_token(cseq[1])
    for parse, largest in ((parse_number, 2**64), (parse_delta_seconds, 2**32 - 1), (parse_q, 1000)):
        number = parse(text)
        assert number is None or 0 <= number <= largest


# Size.


def grow(data: bytes) -> None:
    """Reading four times as much takes about four times as long; looked at for some inputs."""
    if crc32(data) % _ONE_IN:
        return
    small, large = _blown_up(data, _LARGE // 4), _blown_up(data, _LARGE)
    _compare_times(_split_wholly, small, large)
    texts = small.decode("latin-1"), large.decode("latin-1")
    for parse in _PARSERS:
        _compare_times(parse, *texts)


def _blown_up(data: bytes, size: int) -> bytes:
    """`data` with its middle repeated until it is as long as `size`."""
    third = len(data) // 3
    middle = data[third : 2 * third + 1]
    times = max(1, (size - len(data)) // max(1, len(middle)))
    return data[:third] + middle * times + data[2 * third + 1 :]


def _split_wholly(data: bytes) -> None:
    """Split, a response too, and look for the length as on a connection."""
    message = split(data)
    if isinstance(message, Message):
        _ = message.lines
    content_length(data)


def _compare_times(read_it: Callable[[_Text], object], small: _Text, large: _Text) -> None:
    """Fails where the times are those of something quadratic, three times out of three."""
    for _ in range(3):
        times = []
        for text in (small, large):
            started = thread_time()
            read_it(text)
            times.append(thread_time() - started)
        if times[1] < _NOTICED_S or times[1] < _QUADRATIC * times[0]:
            return
    raise AssertionError(
        f"{read_it.__name__}: {len(large)} octets took {times[1]:.4f} s, a quarter {times[0]:.4f} s"
    )
