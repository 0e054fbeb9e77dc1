"""Requests of our own: their octets, and their answer that comes once."""

import pytest

from oneproxy.engine.attempt import Addresses
from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.decisions import Result
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.origin import Origin, OwnRequest, originated
from oneproxy.engine.tables import Tables
from oneproxy.sip.message import Request, Response, split
from world import response

LISTENER = Listener("UDP", "192.0.2.1", 5060)
VIA = f"{LISTENER.via}7"
START = 1000.0


def options(*route: str, uri: str = "sip:192.0.2.30") -> OwnRequest:
    """A probe."""
    return originated(
        "OPTIONS",
        uri,
        from_="<sip:oneproxy@example.com>;tag=p",
        to="<sip:192.0.2.30>",
        call_id="probe-1",
        cseq=7,
        route=route,
    )


def test_a_request_of_our_own_is_whole() -> None:
    request = originated(
        "REGISTER",
        "sip:carrier.example",
        from_="<sip:me@carrier.example>;tag=r",
        to="<sip:me@carrier.example>",
        call_id="reg-1",
        cseq=3,
        headers=("Contact: <sip:me@192.0.2.1>", "Expires: 600"),
        body="né",
        max_forwards=10,
    )
    assert request.render(VIA) == (
        b"REGISTER sip:carrier.example SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK7\r\n"
        b"Max-Forwards: 10\r\n"
        b"From: <sip:me@carrier.example>;tag=r\r\n"
        b"To: <sip:me@carrier.example>\r\n"
        b"Call-ID: reg-1\r\n"
        b"CSeq: 3 REGISTER\r\n"
        b"Contact: <sip:me@192.0.2.1>\r\n"
        b"Expires: 600\r\n"
        b"Content-Length: 2\r\n"
        b"\r\n"
        b"n\xe9"
    )
    assert (request.towards, request.flow) == ("sip:carrier.example", "")


def lines(request: OwnRequest) -> tuple[str, list[str]]:
    """The Request-URI and the Route lines."""
    message = split(request.render(VIA))
    assert isinstance(message, Request)
    return message.uri, message.all("route")


def test_a_loose_router_leaves_the_target_in_the_request_line() -> None:
    request = options("<sip:192.0.2.40;lr>", "<sip:192.0.2.41;lr>")
    assert lines(request) == ("sip:192.0.2.30", ["<sip:192.0.2.40;lr>, <sip:192.0.2.41;lr>"])
    assert request.towards == "sip:192.0.2.40;lr"


def test_a_strict_router_takes_the_request_line_and_the_target_goes_last() -> None:
    request = options("<sip:192.0.2.40;method=INVITE;x=1?Subject=a>", "<sip:192.0.2.41;lr>")
    assert lines(request) == ("sip:192.0.2.40;x=1", ["<sip:192.0.2.41;lr>, <sip:192.0.2.30>"])
    assert request.towards == "sip:192.0.2.40;x=1"


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("sip:192.0.2.30?Replaces=x", "sip:192.0.2.30"),
        ("sip:bob@192.0.2.30:5070;transport=tcp;method=BYE", "sip:bob@192.0.2.30:5070;transport=tcp"),
        ("tel:+351;method=x", "tel:+351;method=x"),
    ],
)
def test_what_may_not_stand_in_a_request_line_is_left_out(target: str, uri: str) -> None:
    request = options(uri=target)
    assert (request.uri, request.towards) == (uri, uri)


@pytest.mark.parametrize("text", ["<sip:a@b>\r\nX: y", "<sip:a@b>\nX: y", "<sip:a@b>\r"])
def test_no_part_begins_a_header_line_of_its_own(text: str) -> None:
    request = originated("OPTIONS", "sip:192.0.2.30", from_=text, to="<sip:b>", call_id="c", cseq=1)
    with pytest.raises(ValueError, match="line end"):
        request.render(VIA)


class Sender:
    """An engine that starts client transactions for requests of its own, and counts the answers."""

    def __init__(self) -> None:
        self.tables = Tables(START)
        self.again: list[float] = []
        self.results: list[tuple[float, Result]] = []
        self.origin = Origin(options(), START, lambda now, result: self.results.append((now, result)), self)
        self.client = self.send(START)

    def send(self, now: float) -> ClientTransaction:
        """Start a branch."""
        flow = Flow(LISTENER, "192.0.2.30", 5060, "udp/192.0.2.1:5060/192.0.2.30:5060")
        branch = f"7{len(self.again)}"
        data = self.origin.request.render(LISTENER.via + branch)
        return ClientTransaction(self.tables, branch, "OPTIONS", flow, data, self.origin, now)

    def send_again(self, now: float, origin: Origin, branch: ClientTransaction) -> None:
        """Start another branch at the next address."""
        assert (origin, branch) == (self.origin, self.client)
        self.again.append(now)
        self.client = self.send(now)

    def answer(self, now: float, status: int) -> Response:
        """A response of the peer to the latest branch."""
        sent = split(self.tables.out[-1][1])
        assert isinstance(sent, Request)
        message = split(response(sent, status, to_tag="g"))
        assert isinstance(message, Response)
        self.client.receive(now, message)
        return message

    def told(self) -> list[tuple[float, int, str | None, Response | None, float]]:
        """When the answer was told, and all of it."""
        return [(now, one.status, one.error, one.response, one.response_time_s) for now, one in self.results]


@pytest.mark.parametrize("status", [200, 302, 401, 486, 503, 603])
def test_the_final_response_is_told_with_its_time(status: int) -> None:
    sender = Sender()
    given = sender.answer(START + 0.25, status)
    assert sender.told() == [(START + 0.25, status, None, given, 0.25)]


def test_the_response_time_is_that_of_the_first_response() -> None:
    sender = Sender()
    sender.answer(START + 0.25, 100)
    assert sender.told() == []
    given = sender.answer(START + 3.0, 200)
    assert sender.told() == [(START + 3.0, 200, None, given, 0.25)]


def test_a_repeated_response_is_told_once() -> None:
    sender = Sender()
    given = sender.answer(START + 0.25, 200)
    sender.answer(START + 0.5, 200)
    assert sender.told() == [(START + 0.25, 200, None, given, 0.25)]


def test_no_response_at_all_is_a_408_of_our_own() -> None:
    sender = Sender()
    sender.tables.wheel.expire(START + 31.5)
    assert sender.told() == []
    sender.tables.wheel.expire(START + 32.0)
    assert sender.told() == [(START + 32.0, 408, "timeout", None, 32.0)]
    assert sender.tables.clients == {}


def test_a_peer_that_cannot_be_reached_is_a_503_of_our_own() -> None:
    sender = Sender()
    sender.client.unreachable(START + 0.5)
    assert sender.told() == [(START + 0.5, 503, "transport", None, 0.5)]


def test_a_name_without_an_address_is_told_without_a_branch() -> None:
    sender = Sender()
    sender.origin.fail(START, None, 503, "name")
    sender.origin.fail(START + 1.0, None, 503, "name")
    assert sender.told() == [(START, 503, "name", None, 0.0)]


@pytest.mark.parametrize("fault", ["unreachable", "503"])
def test_the_next_address_is_tried_where_there_is_one(fault: str) -> None:
    sender = Sender()
    sender.client.rest = Addresses("carrier.example", [("UDP", "192.0.2.31", 5060)])
    if fault == "503":
        sender.answer(START + 1.0, 503)
    else:
        sender.client.unreachable(START + 1.0)
    assert sender.again == [START + 1.0]
    assert sender.told() == []
    given = sender.answer(START + 2.0, 200)
    took = 1.0 if fault == "503" else 2.0
    assert sender.told() == [(START + 2.0, 200, None, given, took)]


def test_a_request_that_nobody_waits_for_is_answered_in_silence() -> None:
    sender = Sender()
    origin = Origin(options(), START, None, sender)
    origin.fail(START, None, 503, "name")
    assert sender.told() == []
