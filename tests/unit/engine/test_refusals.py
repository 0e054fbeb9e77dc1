"""Refusals in their order, and what is left to policy (RFC 3261 8.2, 16.3)."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.malformed import Malformed
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
NOT_FOUND = Reply(404, "Not Found")
EMPTY = {"servers": 0, "clients": 0}


@pytest.mark.parametrize("uri", ["nobody:knows-this", "tel:+351123", "urn:service:sos", "http://example.com"])
def test_a_scheme_that_nobody_here_serves_is_for_policy_to_refuse(uri: str) -> None:
    world = World(Reply(416, "Unsupported URI Scheme"))
    caller = world.peer("192.0.2.10")
    caller.send(request("OPTIONS", uri))
    assert caller.take_all() == ["SIP/2.0 416 Unsupported URI Scheme"]
    assert [ask.uri.text for ask in world.asked] == [uri]


@pytest.mark.parametrize(
    "uri", ["bob", "sip:", "sip:@example.com", "sip:bob@example.com:0", ":x", "sip:b%4@x"]
)
def test_a_uri_that_is_none_is_refused_before_policy(uri: str) -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", uri))
    assert (caller.take_response(400).reason, world.asked) == ("Bad Request-URI", [])
    assert world.engine.counters.dropped == {"request-uri": 1}


@pytest.mark.parametrize("version", ["SIP/1.0", "SIP/2.1", "SIP/22.0", "HTTP/1.1"])
def test_another_version_is_a_505_that_names_it(version: str) -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE").replace(b"com SIP/2.0", f"com {version}".encode()))
    assert caller.take_response(505).reason == "Version Not Supported"
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


def test_the_first_fault_is_told_to_whoever_listens_with_the_way_back() -> None:
    world = World(BOB)
    told: list[tuple[float, str, int, Malformed]] = []

    def tell(now: float, flow: Flow, fault: Malformed) -> None:
        told.append((now, flow.host, flow.port, fault))

    world.engine.on_malformed = tell
    bad = request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: x").replace(b"1 INVITE", b"x INVITE")
    world.peer("192.0.2.10", 40_000).send(bad)
    world.peer("192.0.2.10", 40_000).send(b"nonsense")
    assert told == [
        (world.now, "192.0.2.10", 5060, Malformed.CSEQ),
        (world.now, "192.0.2.10", 40_000, Malformed.NOT_SIP),
    ]
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 400 Bad CSeq"]


def test_a_bad_response_is_dropped_counted_and_told() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    told: list[Malformed] = []
    world.engine.on_malformed = lambda _now, _flow, fault: told.append(fault)
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 486, "no colon", to_tag="b"))
    callee.send(b"SIP/2.0 486 cut off\r\nVia: x")
    assert (caller.has_nothing, callee.has_nothing) == (True, True)
    assert told == [Malformed.HEADER_LINE] * 2
    assert world.engine.counters.dropped == {"header-line": 2}
    callee.send(response(invite, 486, to_tag="b"))
    caller.take_response(486)


@pytest.mark.parametrize(
    ("hops", "left"), [(None, "70"), (255, "254"), (70, "69"), (2, "1"), (1, "0"), (0, None)]
)
def test_max_forwards_counts_down_to_a_483(hops: int | None, left: str | None) -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", hops=hops))
    if left is None:
        assert caller.take_all() == ["SIP/2.0 483 Too Many Hops"]
        assert (callee.has_nothing, world.asked, world.engine.sizes()) == (True, [], EMPTY)
    else:
        assert callee.take_request("INVITE").all("max-forwards") == [left]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REGISTER"])
def test_a_refusal_that_keeps_nothing_has_the_same_tag_every_time(method: str) -> None:
    world = World(Reply(401, "Unauthorized", ('WWW-Authenticate: Digest realm="x"',), stateless=True))
    caller = world.peer("192.0.2.10")
    for _ in range(3):
        caller.send(request(method))
    answers = [caller.take_response(401).lines for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert 'WWW-Authenticate: Digest realm="x"' in answers[0]
    assert (len(world.asked), world.engine.sizes()) == (3, EMPTY)


def test_requests_that_are_not_the_same_have_tags_of_their_own() -> None:
    world = World(BOB, transactions=0)
    caller = world.peer("192.0.2.10")
    for number in range(3):
        caller.send(request("INVITE", branch=f"z9hG4bK{number}"))
    tags = {(caller.take_response(503).get("to") or "").partition("tag=")[2] for _ in range(3)}
    assert len(tags) == 3


def test_the_ack_for_a_refusal_that_kept_nothing_is_dropped() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", hops=0))
    tag = (caller.take_response(483).get("to") or "").partition("tag=")[2]
    caller.send(request("ACK", to_tag=tag))
    assert (caller.has_nothing, world.asked) == (True, [])
    assert world.engine.counters.dropped == {"483": 1, "stray-ack": 1}


def test_a_tag_that_is_there_stays_in_a_refusal() -> None:
    world = World(NOT_FOUND)
    caller = world.peer("192.0.2.10")
    caller.send(request("BYE", to_tag="theirs"))
    assert caller.take_response(404).get("to") == "<sip:bob@example.com>;tag=theirs"


def test_a_full_table_still_serves_what_it_holds_and_takes_in_again_what_leaves() -> None:
    world = World(BOB, transactions=1)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    refused = request("INVITE", branch="z9hG4bK2", call_id="call-2")
    caller.send(refused)
    answer = caller.take_response(503)
    assert (answer.get("retry-after"), world.engine.counters.dropped) == ("10", {"full": 1})
    callee.send(response(invite, 180, to_tag="b"))
    caller.take_response(180)
    caller.send(request("INVITE"))
    caller.take_response(180)
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    world.wait(33)
    caller.send(refused)
    assert callee.take_request("INVITE").get("call-id") == "call-2"


def test_options_to_oneproxy_is_answered_while_the_table_is_full() -> None:
    world = World(BOB, transactions=0)
    caller = world.peer("192.0.2.10")
    caller.send(request("OPTIONS", "sip:192.0.2.1"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


def test_a_draining_node_finishes_the_calls_that_it_has() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    world.engine.drain()
    caller.send(request("INVITE"))
    assert (caller.has_nothing, world.engine.unanswered()) == (True, 1)
    callee.send(response(invite, 486, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 486 Because"]
    assert world.engine.unanswered() == 0


def test_the_totals_name_everything_that_was_counted() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    caller.send(request("INVITE"))
    answer = response(callee.take_request("INVITE"), 200, to_tag="b")
    callee.send(answer)
    callee.send(answer.replace(b"1 INVITE", b"1 INFO"))
    caller.send(request("MESSAGE", hops=0))
    caller.send(b"nonsense")
    assert world.engine.counters.totals() == {
        "calls": 1,
        "requests": 3,
        "responses": 2,
        "retransmissions": 1,
        "stray_responses": 1,
        "dropped.483": 1,
        "dropped.not-sip": 1,
    }
