"""Whole calls between two agents, checked at every step."""

from typing import NamedTuple

from system.agents.agent import Agent, Asked
from system.agents.dialog import SDP, Dialog, answer, invite
from system.agents.message import Message


class Call(NamedTuple):
    """Both sides of an established call."""

    caller: Dialog
    callee: Dialog


def establish(caller: Agent, callee: Agent) -> Call:
    """Call, ring, answer, acknowledge."""
    return complete(caller, invite(caller, callee.aor), callee)


def complete(caller: Agent, asked: Asked, callee: Agent) -> Call:
    """Ring, answer, acknowledge, where the INVITE is under way."""
    request = _arrived(caller, asked, callee)
    assert request.body == asked.request.body
    callee.respond(request, 180)
    caller.provisional(asked, 180)
    called = answer(callee, request)
    ok = caller.final(asked)
    assert (ok.status, ok.body) == (200, SDP)
    # Its mark may have changed, since the callee says where he is (RFC 3261 16.7 step 8).
    recorded = [[one.partition(";mark=")[0] for one in seen.all("Record-Route")] for seen in (ok, request)]
    assert recorded[0] == recorded[1]
    calling = Dialog.of_caller(caller, ok)
    calling.acknowledge()
    called.expect("ACK")
    return Call(calling, called)


def _arrived(caller: Agent, asked: Asked, callee: Agent) -> Message:
    try:
        return callee.expect("INVITE")
    except TimeoutError as error:
        caller.poll()
        raise TimeoutError(f"{error}; {caller.user} was told {asked.statuses}") from None


def exchange(sender: Dialog, receiver: Dialog, method: str, body: str = "") -> None:
    """A request within the dialog, its 200, and the ACK where it has one."""
    asked = sender.ask(method, body)
    request = receiver.expect(method)
    assert request.body == body
    receiver.accept(request, body)
    ok = sender.agent.final(asked)
    assert (ok.status, ok.body) == (200, body)
    if method == "INVITE":
        sender.acknowledge()
        receiver.expect("ACK")


def hang_up(sender: Dialog, receiver: Dialog) -> None:
    """BYE and its 200."""
    exchange(sender, receiver, "BYE")
