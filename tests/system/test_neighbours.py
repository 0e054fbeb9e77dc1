"""A server that wants less, before a OneProxy that runs: what it is sent, who is told, and what is logged."""

import json
import socket
from contextlib import closing
from pathlib import Path

from oneproxy.sip.oc import ASKING, read_feedback
from system.gateways import TRUST
from system.server import DOMAIN, Server
from system.wire import Answer, Client, answer_to
from waiting import PATIENCE_S, until_now


def place(caller: Client, call_id: str) -> None:
    """A call to the target of the route, of a neighbour who asks too."""
    invite = caller.request("INVITE", f"sip:+351912345678@{DOMAIN}", f"alice@{DOMAIN}", call_id=call_id)
    caller.send(invite.replace(";rport", f";rport{ASKING}"))


def taken(callee: Client, call_id: str) -> bytes:
    """The INVITE of this call when it comes."""
    while True:
        data = callee.receive(PATIENCE_S)
        assert data is not None
        if data.startswith(b"INVITE ") and call_id.encode() in data:
            return data


def refused(caller: Client, call_id: str) -> Answer:
    """The final answer to a call."""
    answer = caller.final(call_id, PATIENCE_S)
    assert answer is not None
    return answer


def test_a_target_that_wants_nothing_is_sent_no_call_until_it_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        local = f"127.0.0.1:{bound.getsockname()[1]}"
        route = f'[[route]]\nprefix = "+351"\ntarget = "sip:{local}"\n'
        with Server(tmp_path, subscribers={}, more=TRUST + route) as server:
            with closing(Client(server.host, server.port)) as caller:
                callee = Client(server.host, server.port, bound)
                place(caller, "one")
                place(caller, "two")
                first, second = taken(callee, "one"), taken(callee, "two")
                assert ASKING.encode() in first.partition(b"\r\nVia: ")[2].partition(b"\r\n")[0]
                told = b';oc=100;oc-algo="loss";oc-validity=60000;oc-seq=1.0'
                callee.send(answer_to(first, 486, "Busy Here").replace(ASKING.encode(), told, 1))
                answer = refused(caller, "one")
                feedback = read_feedback(answer.headers["via"][0])
                assert answer.status == 486
                # What the callee has told is ours; who asks us is told that we have room.
                assert feedback is not None
                assert (feedback.loss_percent, feedback.valid_s) == (0, 0.0)
                place(caller, "three")
                answer = refused(caller, "three")
                assert (answer.status, "retry-after" in answer.headers) == (503, False)
                over = b';oc=0;oc-algo="loss";oc-validity=0;oc-seq=2.0'
                callee.send(answer_to(second, 486, "Busy Here").replace(ASKING.encode(), over, 1))
                assert refused(caller, "two").status == 486
                place(caller, "four")
                callee.send(answer_to(taken(callee, "four"), 486, "Busy Here"))
                assert refused(caller, "four").status == 486
            until_now(lambda: "all sent to a neighbour again" in server.log(), server.log)
            log = (server.folder / "server.log").read_text().splitlines()
        events = [json.loads(line) for line in log if line.startswith("{")]
        of = f"udp:{local}"
        assert [
            (one["neighbour"], one.get("code"), one.get("not_sent"), one.get("codes"))
            for one in events
            if "neighbour" in one
        ] == [(of, "oc", None, None), (of, None, 1, {"oc": 1})]
