"""Splitting a message into its lines."""

from time import thread_time

import pytest

from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import MAX_HEADER, MAX_HEADERS, MAX_MESSAGE, Request, Response, split, unfold

START = b"INVITE sip:bob@example.com SIP/2.0\r\n"


def request(data: bytes) -> Request:
    message = split(data)
    assert isinstance(message, Request)
    return message


def test_a_request_is_split_into_its_parts() -> None:
    data = START + b"Via: a\r\nf: <sip:a@b>\r\nVIA :\tb \r\nOwn: \xe9\r\n\r\nbody\r\n\r\n\x00"
    message = request(data)
    assert (message.method, message.uri, message.version) == ("INVITE", "sip:bob@example.com", "SIP/2.0")
    assert (message.fault, message.body) == (None, "body\r\n\r\n\x00")
    assert (message.get("via"), message.all("via"), message.positions("via")) == ("a", ["a", "b"], [1, 3])
    assert (message.get("from"), message.positions("from")) == ("<sip:a@b>", [2])
    assert (message.get("to"), message.all("to"), message.positions("to")) == (None, [], [])
    assert message.get("own") == "\xe9"
    assert message.bytes() == data


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 699", 699, ""),
        (b"SIP/2.0 200 = 2**3 \xd0\xbd", 200, "= 2**3 \xd0\xbd"),
    ],
)
def test_a_response_is_split_into_its_parts(line: bytes, status: int, reason: str) -> None:
    message = split(line + b"\r\nl: 0\r\n\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.fault) == (status, reason, None)
    assert message.get("content-length") == "0"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Malformed.NOT_SIP),
        (b"\r\n\r\n", Malformed.NOT_SIP),
        (b"\x00\x00\x00\x00", Malformed.NOT_SIP),
        (b"hello\r\n\r\n", Malformed.NOT_SIP),
        (b"SIP/2.0 4294967301 x\r\n\r\n", Malformed.STATUS),
        (b"SIP/2.0 099 x\r\n\r\n", Malformed.STATUS),
        (b"SIP/2.0 700 x\r\n\r\n", Malformed.STATUS),
        (b"SIP/2.0 2x0 x\r\n\r\n", Malformed.STATUS),
        (b"SIP/2.0 2\xb20 x\r\n\r\n", Malformed.STATUS),
        (b"SIP/3.0 200 OK\r\n\r\n", Malformed.STATUS),
        (START + b"Own: " + b"a" * MAX_MESSAGE, Malformed.TOO_LARGE),
    ],
)
def test_what_is_no_message_is_malformed(data: bytes, fault: Malformed) -> None:
    assert split(data) is fault


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (START, Malformed.HEADER_LINE),
        (START + b"Via: a", Malformed.HEADER_LINE),
        (START + b"Via: a\r\n", Malformed.HEADER_LINE),
        (START + b"Via\r\n\r\n", Malformed.HEADER_LINE),
        (START + b": a\r\n\r\n", Malformed.HEADER_LINE),
        (START + b" Via: a\r\n\r\n", Malformed.HEADER_LINE),
        (START + b"Own: a\nVia: b\r\n\r\n", Malformed.HEADER_LINE),
        (START + b"Own: a\rVia: b\r\n\r\n", Malformed.HEADER_LINE),
        (START + b"Own: a\x00b\r\n\r\n", Malformed.HEADER_LINE),
        (START + b"Own: " + b"a" * MAX_HEADER + b"\r\n\r\n", Malformed.HEADER_TOO_LONG),
        (START + b"Own: a\r\n" * MAX_HEADERS + b"\r\n", Malformed.TOO_MANY_HEADERS),
        (b"INVITE  sip:a  SIP/2.0\r\n\r\n", Malformed.START_LINE),
        (b"INVITE sip:a; lr SIP/2.0\r\n\r\n", Malformed.START_LINE),
        (b"INVITE sip:a SIP/2.0 \r\n\r\n", Malformed.START_LINE),
    ],
)
def test_a_fault_is_noted_and_the_request_can_still_be_answered(data: bytes, fault: Malformed) -> None:
    assert request(data).fault is fault


def test_a_nul_may_stand_behind_a_backslash_in_a_quoted_string() -> None:
    message = request(START + b'To: "\\\x00" <sip:a@b>\r\n\r\n')
    assert (message.fault, message.get("to")) == (None, '"\\\x00" <sip:a@b>')


def test_empty_lines_before_the_start_line_are_ignored() -> None:
    assert request(b"\r\n\r\n" + START + b"l: 0\r\n\r\n").bytes() == START + b"l: 0\r\n\r\n"


def test_folded_lines_are_joined_with_one_space() -> None:
    message = request(START + b"Own:  a \r\n\t b\r\n \r\n c\r\nVia:\r\n d\r\n\r\nbody\r\n e")
    assert (message.get("own"), message.get("via"), message.body) == ("a b c", "d", "body\r\n e")
    assert (message.fault, len(message.lines)) == (None, 3)


def test_a_folded_line_with_no_header_before_it_ends_in_a_fault() -> None:
    message = request(START + b" x\r\n y: z\r\nVia: a\r\n\r\n")
    assert (message.fault, message.get("via")) == (Malformed.HEADER_LINE, "a")


@pytest.mark.parametrize(
    ("folded", "joined"),
    [
        ("S\r\nA: b\r\n c", "S\r\nA: b c"),
        ("S\r\nA: b \t\r\n \t c  ", "S\r\nA: b c  "),
        ("S\r\nA:\r\n b\r\n\tc\r\nD: e", "S\r\nA: b c\r\nD: e"),
        ("S\r\nA: b\r\n \r\n\t\r\n c\r\nD: e", "S\r\nA: b c\r\nD: e"),
        ("S\r\nA: b\r\n ", "S\r\nA: b "),
        ("S\r\n x\r\n y", "S\r\n x y"),
        ("S\r\n \r\n y", "S\r\n y"),
        ("S\r\nA: b", "S\r\nA: b"),
        ("S", "S"),
    ],
)
def test_what_folding_leaves_is_one_space(folded: str, joined: str) -> None:
    assert unfold(folded) == joined


def test_joining_four_times_as_many_folded_lines_takes_about_four_times_as_long() -> None:
    growth = []
    for _ in range(5):
        times = []
        for folds in (50_000, 200_000):
            head = "S\r\nA: b" + "\r\n c" * folds
            started = thread_time()
            unfold(head)
            times.append(thread_time() - started)
        growth.append(times[1] / times[0])
    assert min(growth) < 9, growth


@pytest.mark.parametrize("via", ['a;b="1,2", c', "a;b=<1,2>, c", "a;b=<1, c", 'a;b="1, c'])
def test_a_via_whose_commas_may_not_part_it_is_left_to_the_header_fields(via: str) -> None:
    message = split(f"SIP/2.0 200 OK\r\nVia: {via}\r\n\r\n".encode())
    assert isinstance(message, Response)
    assert (message.top_via, message.without_top_via()) == (via, None)


def test_a_list_of_vias_gives_its_first_one_up() -> None:
    message = split(b"SIP/2.0 200 OK\r\nVia: a;b=1, c, d\r\n\r\n")
    assert isinstance(message, Response)
    assert message.top_via == "a;b=1"
    assert message.without_top_via() == b"SIP/2.0 200 OK\r\nVia:  c, d\r\n\r\n"
