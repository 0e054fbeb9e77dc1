"""What a request looks like after it was passed on: only what must change has changed."""

from oneproxy.engine.decisions import Ask, Decision, Forward, Target
from world import World, request

BOB = Forward([Target("sip:bob@192.0.2.20")])


def passed(data: bytes, decision: Forward = BOB) -> list[str]:
    """The lines of `data` as the callee gets it."""
    world = World(decision)
    world.peer("192.0.2.10").send(data)
    (peer,) = [peer for peer in world.peers.values() if peer.inbox]
    return peer.inbox.popleft().decode("latin-1").split("\r\n")


def test_lines_that_nobody_asked_for_pass_as_the_octets_that_came() -> None:
    odd = ["s:compact", "X-Space :  two  ", "x-utf8: \xc3\xa9\xff", "Contact: <sip:a@b>,<sip:c@d>", "P: \\"]
    data = request("INVITE", "sip:bob@example.com", *odd, body="v=0\n\0\xff\r\n\r\nend")
    came = data.decode("latin-1").split("\r\n")
    went = passed(data)
    assert went[0] == "INVITE sip:bob@192.0.2.20 SIP/2.0"
    assert went[1].startswith("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn1.")
    assert went[2].startswith("Record-Route: <sip:192.0.2.1:5060;lr;mark=")
    expected = [line.replace("Max-Forwards: 70", "Max-Forwards: 69") for line in came[1:]]
    assert went[3:] == expected


def test_folded_lines_are_joined() -> None:
    went = passed(request("INVITE", "sip:bob@example.com", "Subject: one\r\n  two\r\n\tthree"))
    assert "Subject: one two three" in went


def test_a_path_is_pushed_and_followed() -> None:
    path = ("<sip:192.0.2.40:5080;lr>", "<sip:192.0.2.41;lr>")
    world = World(Forward([Target("sip:bob@10.0.0.5", path)]))
    world.peer("192.0.2.10").send(request("INVITE"))
    invite = world.peer("192.0.2.40", 5080).take_request("INVITE")
    assert invite.uri == "sip:bob@10.0.0.5"
    assert invite.all("route") == [", ".join(path)]


def test_a_target_goes_to_its_port_or_its_maddr() -> None:
    for uri, host, port in (
        ("sip:bob@192.0.2.20:5099", "192.0.2.20", 5099),
        ("sip:bob@example.org;maddr=192.0.2.21", "192.0.2.21", 5060),
        ("sip:[2001:db8::1]:5070", "2001:db8::1", 5070),
    ):
        world = World(Forward([Target(uri)]))
        world.peer("192.0.2.10").send(request("INVITE"))
        assert world.peer(host, port).take_request("INVITE").uri == uri


def test_a_flow_overrides_the_uri() -> None:
    world = World()
    flow = world.flow("203.0.113.7", 40_000)
    world.decisions = (Forward([Target("sip:bob@10.0.0.5", (), flow)]),)
    world.peer("192.0.2.10").send(request("INVITE"))
    assert world.peer("203.0.113.7", 40_000).take_request("INVITE").uri == "sip:bob@10.0.0.5"


def test_the_request_itself_is_left_as_it_came() -> None:
    world = World(BOB)
    data = request("INVITE")
    world.peer("192.0.2.10").send(data)
    assert world.asked[0].request.bytes() == data


def test_lines_that_were_for_this_proxy_alone_go_no_further() -> None:
    def consume(ask: Ask) -> Decision:
        ask.consumed = tuple(ask.request.positions("proxy-authorization")[:1])
        return BOB

    world = World(consume)
    headers = ["Proxy-Authorization: ours", "P-Odd: 1", "Proxy-Authorization: others"]
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", *headers))
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert (invite.all("proxy-authorization"), invite.get("p-odd")) == (["others"], "1")
