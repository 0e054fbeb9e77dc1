"""A call between two peers of a `World`, and the requests that either of them sends in it.

call = Called(world, bob=("Contact: <sip:bob@192.0.2.30>",))
call.caller.send(call.of_alice("BYE", "sip:bob@192.0.2.30"))
"""

from typing import Final

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.sip.message import Response
from world import World, request, response

BOB: Final = Forward([Target("sip:bob@192.0.2.20")])
REFUSED: Final = Reply(403, "Refused")
VICTIM: Final = "sip:victim@192.0.2.99"
ALICE_SAYS: Final = "Contact: <sip:alice@192.0.2.10>"


class Called:
    """A call from alice to bob, and what each of them needs to send in it."""

    def __init__(
        self,
        world: World,
        *,
        alice: tuple[str, ...] = (ALICE_SAYS,),
        bob: tuple[str, ...] = ("Contact: <sip:bob@192.0.2.20>",),
        above: tuple[str, ...] = (),
        status: int = 200,
    ) -> None:
        """alice, bob: lines of the INVITE and of its response. above: Record-Routes of proxies behind us."""
        self.world = world
        self.caller, self.callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
        self.caller.send(request("INVITE", "sip:bob@example.com", *alice))
        self.invite = self.callee.take_request("INVITE")
        self.answer(status, bob, above)

    def answer(self, status: int, bob: tuple[str, ...], above: tuple[str, ...] = (), tag: str = "b") -> None:
        """Bob answers the INVITE."""
        data = response(self.invite, status, *bob, to_tag=tag).decode("latin-1")
        lines = "".join(f"Record-Route: {value}\r\n" for value in above)
        self.callee.send(data.replace("Record-Route", f"{lines}Record-Route", 1).encode("latin-1"))
        self.ok: Response = self.caller.take_response(status)

    def of_alice(self, method: str, uri: str, *route: str, cseq: int = 2, tag: str = "b") -> bytes:
        """A request of hers along the route of the response, with further values behind it."""
        values = [*reversed(self.ok.all("record-route")), *route]
        lines = [f"Route: {value}" for value in values]
        return request(method, uri, *lines, branch=f"z9hG4bKa{method}{cseq}", cseq=cseq, to_tag=tag)

    def of_bob(self, method: str, uri: str, *route: str, cseq: int = 1) -> bytes:
        """One of his, likewise along the route of the INVITE."""
        lines = [f"Route: {value}" for value in (*self.invite.all("record-route"), *route)]
        branch = f"z9hG4bKb{method}{cseq}"
        return request(
            method, uri, *lines, via="192.0.2.20", branch=branch, cseq=cseq, from_tag="b", to_tag="a"
        )
