"""Requests of our own through the engine: to an address, to the next one, and what comes back."""

from oneproxy.engine.decisions import Result
from oneproxy.engine.flow import Hop
from oneproxy.engine.origin import originated
from world import World, response

FIRST: Hop = ("UDP", "192.0.2.21", 5060)
SECOND: Hop = ("UDP", "192.0.2.22", 5060)


def probe(world: World, uri: str) -> list[tuple[float, Result]]:
    """Send an OPTIONS; where its result will stand."""
    results: list[tuple[float, Result]] = []
    own = originated("OPTIONS", uri, from_="<sip:n1>;tag=x", to=f"<{uri}>", call_id="probe-1", cseq=7)
    world.engine.originate(world.now, own, lambda now, result: results.append((now, result)))
    world.deliver()
    return results


def test_a_probe_is_answered_with_the_time_it_took() -> None:
    world = World()
    results = probe(world, "sip:192.0.2.21")
    peer = world.peer("192.0.2.21")
    options = peer.take_request("OPTIONS")
    assert (options.get("via") or "").startswith("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK")
    assert options.get("cseq") == "7 OPTIONS"
    world.wait(0.25)
    peer.send(response(options, 200, to_tag="g"))
    [(_, result)] = results
    assert (result.status, result.error, result.response_time_s) == (200, None, 0.25)
    assert result.response is not None


def test_a_probe_that_nobody_answers_times_out_once() -> None:
    world = World()
    results = probe(world, "sip:192.0.2.21")
    world.wait(100)
    assert [(result.status, result.error) for _, result in results] == [(408, "timeout")]
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_a_probe_goes_on_to_the_next_address() -> None:
    world = World()
    world.names["gateway.test"] = [FIRST, SECOND]
    results = probe(world, "sip:gateway.test")
    world.wait(4)
    peer = world.peer("192.0.2.22")
    peer.send(response(peer.take_request("OPTIONS"), 200))
    assert [(result.status, result.response_time_s) for _, result in results] == [(200, 4.0)]
    assert world.failed_hops == [FIRST]


def test_a_probe_waits_for_its_name() -> None:
    world = World()
    world.names["gateway.test"] = None
    results = probe(world, "sip:gateway.test")
    world.resolve()
    assert [(result.status, result.error) for _, result in results] == [(503, "name")]


def test_a_probe_that_has_no_way_fails_at_once() -> None:
    world = World()
    assert [result.status for _, result in probe(world, "tel:+351123")] == [503]
    assert [result.status for _, result in probe(world, "sip:192.0.2.21;transport=tls")] == [503]


def test_a_full_table_sends_no_probe() -> None:
    world = World(transactions=0)
    assert [(result.status, result.error) for _, result in probe(world, "sip:192.0.2.21")] == [(503, "full")]


def test_a_probe_that_got_a_100_is_waited_for() -> None:
    world = World()
    world.names["gateway.test"] = [FIRST, SECOND]
    results = probe(world, "sip:gateway.test")
    first = world.peer("192.0.2.21")
    options = first.take_request("OPTIONS")
    first.send(response(options, 100))
    world.wait(20)
    assert world.peer("192.0.2.22").has_nothing
    first.send(response(options, 200))
    assert [result.status for _, result in results] == [200]
