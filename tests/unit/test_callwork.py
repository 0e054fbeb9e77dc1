"""The node's part in the calls that people end: what comes of it leaves with this turn of the loop."""

import asyncio
from pathlib import Path
from typing import cast

from oneproxy.callwork import CallWork
from oneproxy.ipc.calls import AskCalls, CallsFound, EndCall, NodeEnded
from oneproxy.site.model import Machine, Route
from oneproxy.transport.driver import Driver
from routed import CALLER, Routed, dial, gateway, provider, site
from world import response


class Flushing:
    """A driver that hands out what the engine has put out when it is told to."""

    def __init__(self, world: Routed) -> None:
        self._world = world

    def now(self) -> float:
        """The engine's time."""
        return self._world.now

    def flush_soon(self) -> None:
        """Now."""
        self._world.deliver()


def test_a_call_of_a_gateway_is_shown_without_records_and_its_byes_leave_at_once(tmp_path: Path) -> None:
    carrier = provider("carrier", gateway("g0"))
    of = site((carrier,), (Route("+351", provider="carrier"),))
    world = Routed(of, calls=10)
    machine = Machine("edge", (), "", "", last_site=str(tmp_path / "site.last"))
    work = CallWork(
        machine,
        0,
        world.engine,
        world.policy,
        {"example.com"},
        cast(Driver, Flushing(world)),
        lambda *_: None,
    )

    async def scene() -> None:
        work.resume(of)
        try:
            caller, callee = world.peer(CALLER), world.peer("192.0.2.20")
            caller.send(dial("+351912345678", "Contact: <sip:alice@192.0.2.10>"))
            invite = callee.take_request("INVITE")
            callee.send(response(invite, 200, "Contact: <sip:gate@192.0.2.20>", to_tag="b"))
            found = await work.answer(AskCalls(provider="carrier", gateway="g0"))
            assert isinstance(found, CallsFound)
            (call,) = found.calls
            assert (call.state, call.caller, call.callee) == (
                "answered",
                "alice@example.com",
                "bob@example.com",
            )
            caller.inbox.clear()
            assert await work.answer(EndCall(call.id)) == NodeEnded(True)
            for peer in (caller, callee):
                assert peer.take_request("BYE").get("reason") == "SIP;cause=480"
            assert await work.answer(EndCall(call.id)) == NodeEnded(False)
        finally:
            work.stop()

    asyncio.run(scene())
