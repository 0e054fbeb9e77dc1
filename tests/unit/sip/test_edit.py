"""Edits: lines dropped, replaced and pushed, and the message itself left alone."""

from oneproxy.sip.edit import Edit
from oneproxy.sip.message import Request, Response, split

DATA = (
    b"INVITE sip:b@c SIP/2.0\r\nVia: one, two\r\nRoute: <sip:a;lr>\r\n"
    b"X: 1\r\nroute: <sip:b;lr>,<sip:c;lr>\r\n\r\nbody"
)


def message() -> Request:
    read = split(DATA)
    assert isinstance(read, Request)
    return read


def test_an_untouched_edit_is_the_message() -> None:
    assert Edit(message()).join() == DATA


def test_pushed_lines_stand_on_top_last_one_first() -> None:
    edit = Edit(message())
    edit.push("Record-Route: <sip:p;lr>")
    edit.push("Via: zero")
    assert edit.join().split(b"\r\n")[:3] == [
        b"INVITE sip:b@c SIP/2.0",
        b"Via: zero",
        b"Record-Route: <sip:p;lr>",
    ]


def test_popping_takes_one_value_of_a_list() -> None:
    edit = Edit(message())
    edit.pop("via")
    assert edit.join().split(b"\r\n")[1] == b"Via: two"


def test_popping_takes_the_line_of_a_single_value() -> None:
    edit = Edit(message())
    edit.pop("route")
    assert edit.join() == DATA.replace(b"Route: <sip:a;lr>\r\n", b"")


def test_popping_the_last_of_a_list_with_a_stray_comma_takes_the_line() -> None:
    read = split(b"INVITE sip:b SIP/2.0\r\nVia: one,\r\nX: 1\r\n\r\n")
    assert isinstance(read, Request)
    edit = Edit(read)
    edit.pop("via")
    assert edit.join() == b"INVITE sip:b SIP/2.0\r\nX: 1\r\n\r\n"


def test_dropping_all_takes_every_line_of_a_header() -> None:
    edit = Edit(message())
    edit.drop_all("route")
    edit.drop_all("absent")
    assert edit.join() == b"INVITE sip:b@c SIP/2.0\r\nVia: one, two\r\nX: 1\r\n\r\nbody"


def test_all_edits_together_make_one_message_and_leave_the_original() -> None:
    original = message()
    edit = Edit(original)
    edit.lines[0] = "INVITE sip:d SIP/2.0"
    edit.lines[3] = "X: 2"
    edit.pop("via")
    edit.drop_all("route")
    edit.append("Max-Forwards: 70")
    edit.push("Via: zero")
    assert edit.join() == (
        b"INVITE sip:d SIP/2.0\r\nVia: zero\r\nVia: two\r\nX: 2\r\nMax-Forwards: 70\r\n\r\nbody"
    )
    assert original.bytes() == DATA


def test_an_empty_element_is_not_popped_in_place_of_a_value() -> None:
    found = split(b"SIP/2.0 200 OK\r\nVia: , SIP/2.0/UDP a;branch=1,, SIP/2.0/UDP b;branch=2\r\n\r\n")
    assert isinstance(found, Response)
    edit = Edit(found)
    edit.pop("via")
    assert edit.join() == b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP b;branch=2\r\n\r\n"
