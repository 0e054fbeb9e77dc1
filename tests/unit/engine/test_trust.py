"""What policy says of peers beside its decisions: refusals counted, identities dropped (RFC 3325)."""

import pytest

from oneproxy.engine.decisions import Ask, Forward, Reply, Target
from oneproxy.sip.message import Request
from world import PROXY, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
ASSERTED = "P-Asserted-Identity: <sip:boss@example.com>"
PREFERRED = "p-preferred-identity: <sip:boss@example.com>"
CALLER, CALLEE = "192.0.2.10", "192.0.2.20"


def world_of(*trusted: str) -> World:
    """A call is forwarded; only these hosts are believed."""
    world = World(BOB)
    world.engine.trust.trusts = lambda flow, _method: flow.host in trusted
    return world


def established(world: World) -> str:
    """Set up a call; the route of the caller."""
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    return caller.take_response(200).get("record-route") or ""


def said(message: Request) -> list[str]:
    return [line for line in message.lines if line in (ASSERTED, PREFERRED)]


@pytest.mark.parametrize("trusted", [(), (CALLEE,)], ids=["stranger", "trusted"])
@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_response_asserts_an_identity_only_from_who_is_trusted(
    status: int, trusted: tuple[str, ...]
) -> None:
    world = world_of(*trusted)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), status, ASSERTED, "X-Kept: yes", to_tag="b"))
    answer = caller.take_response(status)
    assert (ASSERTED in answer.lines) is bool(trusted)
    assert "X-Kept: yes" in answer.lines


@pytest.mark.parametrize("trusted", [(), (CALLEE,)], ids=["stranger", "trusted"])
def test_no_identity_comes_behind_more_header_fields_than_are_looked_at(trusted: tuple[str, ...]) -> None:
    world = world_of(*trusted)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, *["X-A: 1"] * 300, ASSERTED, to_tag="b"))
    assert caller.has_nothing is not bool(trusted)
    assert world.engine.counters.totals().get("dropped.too-many-headers", 0) == (0 if trusted else 1)


@pytest.mark.parametrize("trusted", [(), (CALLER,)], ids=["stranger", "trusted"])
@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "ACK"])
def test_a_request_of_a_dialog_asserts_an_identity_only_from_who_is_trusted(
    method: str, trusted: tuple[str, ...]
) -> None:
    world = world_of(*trusted)
    route = established(world)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    headers = (f"Route: {route}", ASSERTED, PREFERRED, "X-Kept: yes")
    caller.send(
        request(
            method,
            "sip:bob@192.0.2.20",
            *headers,
            branch="z9hG4bK9",
            cseq=1 if method == "ACK" else 2,
            to_tag="b",
            body="what it says",
        )
    )
    forwarded = callee.take_request(method)
    assert said(forwarded) == ([ASSERTED, PREFERRED] if trusted else [])
    assert "X-Kept: yes" in forwarded.lines
    assert forwarded.get("route") is None
    assert forwarded.body == "what it says"
    if method != "ACK":
        callee.send(response(forwarded, 200))
        assert "SIP/2.0 200 Because" in caller.take_all()


@pytest.mark.parametrize(
    ("privacy", "trusted", "shown"),
    [
        ("Privacy: id", (CALLER,), False),
        ("Privacy: header; ID", (CALLER,), False),
        ("Privacy: id", (CALLER, CALLEE), True),
        ("Privacy: none", (CALLER,), True),
        ("X-Privacy: id", (CALLER,), True),
    ],
)
def test_who_does_not_want_to_be_known_is_named_to_nobody_but_trusted_peers(
    privacy: str, trusted: tuple[str, ...], shown: bool
) -> None:
    """RFC 3325 7: outside of dialogs, inside, and in responses of a trusted peer."""
    world = world_of(*trusted)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE", "sip:bob@example.com", ASSERTED, privacy))
    invite = callee.take_request("INVITE")
    assert (ASSERTED in invite.lines, privacy in invite.lines) == (shown, True)
    callee.send(response(invite, 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    lines = (route, ASSERTED, privacy)
    caller.send(request("INFO", "sip:bob@192.0.2.20", *lines, branch="z9hG4bK9", cseq=2, to_tag="b"))
    assert (ASSERTED in callee.take_request("INFO").lines) is shown

    # The other way round.
    world = world_of(*(CALLEE if host == CALLER else CALLER for host in trusted))
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, ASSERTED, privacy, to_tag="b"))
    answer = caller.take_response(200)
    assert (ASSERTED in answer.lines, privacy in answer.lines) == (shown, True)


def test_who_is_asked_about_nobody_believes_everybody() -> None:
    world = World(BOB)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, ASSERTED, to_tag="b"))
    assert ASSERTED in caller.take_response(200).lines


@pytest.mark.parametrize("stateless", [True, False])
def test_a_refusal_is_counted_and_told_of_by_its_cause(stateless: bool) -> None:
    world = World(Reply(403, "Forbidden", stateless=stateless, cause="address-denied"))
    told: list[tuple[str, str, str]] = []
    world.engine.trust.on_refused = lambda ask, cause: told.append((ask.flow.host, ask.request.method, cause))
    world.peer(CALLER).send(request("MESSAGE"))
    assert told == [(CALLER, "MESSAGE", "address-denied")]
    assert world.engine.counters.totals()["refused.address-denied"] == 1
    # The peer is not told why.
    answer = world.peer(CALLER).inbox[0]
    assert answer.startswith(b"SIP/2.0 403 Forbidden\r\n")
    assert b"denied" not in answer


def test_a_reply_without_a_cause_is_no_refusal() -> None:
    world = World(Reply(480, "Temporarily Unavailable"))
    world.engine.trust.on_refused = lambda *_: pytest.fail("told")
    world.peer(CALLER).send(request("MESSAGE"))
    assert not [name for name in world.engine.counters.totals() if name.startswith("refused.")]


@pytest.mark.parametrize("refused", [True, False])
def test_options_to_oneproxy_itself_may_be_refused_though_policy_never_sees_it(refused: bool) -> None:
    world = World()
    asked: list[Ask] = []

    def screen(ask: Ask) -> Reply | None:
        asked.append(ask)
        return Reply(403, "Forbidden", cause="banned") if refused else None

    world.engine.trust.screen = screen
    world.peer(CALLER).send(request("OPTIONS", f"sip:{PROXY}"))
    assert world.peer(CALLER).take_all() == ["SIP/2.0 403 Forbidden" if refused else "SIP/2.0 200 OK"]
    assert [ask.flow.host for ask in asked] == [CALLER]
    assert world.engine.counters.refused == ({"banned": 1} if refused else {})
    assert world.asked == []
