"""From records to the ordered addresses of a hop: each branch of RFC 3263, without a network."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from oneproxy.engine.flow import Hop
from oneproxy.transport.dns import (
    FAILED,
    MAX_HOSTS,
    NOTHING,
    Answer,
    Can,
    Naptr,
    Question,
    Srv,
    choose,
    draw,
    is_name,
    local_answer,
    locate,
    parse_hosts,
    usable_address,
)

Zone = dict[tuple[str, str], Answer]


def over(*transports: str) -> Can:
    """What a site can that has listeners such as "UDP4" and "TLS6"."""
    return lambda transport, version: f"{transport}{version}" in transports


ALL: Can = over("UDP4", "TCP4", "TLS4")
BOTH: Can = over("UDP4", "UDP6")


def a(*addresses: str) -> Answer:
    return Answer(addresses=addresses)


def srv(*records: tuple[int, int, int, str]) -> Answer:
    return Answer(servers=tuple(Srv(*record) for record in records))


def naptr(*records: tuple[int, int, str, str]) -> Answer:
    """Order, preference, service, replacement."""
    return Answer(
        services=tuple(
            Naptr(order, preference, "s", service, "", to) for order, preference, service, to in records
        )
    )


def walk(hop: Hop, zone: Zone, can: Can = ALL, seed: int = 1) -> tuple[list[Hop], list[Question]]:
    """The addresses, and the questions that were asked."""
    asked: list[Question] = []
    search = locate(hop, can, Random(seed))
    try:
        questions = next(search)
        while True:
            assert questions
            asked += questions
            questions = search.send(tuple(zone.get(question, NOTHING) for question in questions))
    except StopIteration as end:
        hops: list[Hop] = end.value
        return hops, asked


def kinds(asked: list[Question]) -> list[str]:
    return [f"{kind} {name}" for name, kind in asked]


# RFC 3263 4.1 and 4.2: the branches.


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        (("", "192.0.2.1", 0), [("UDP", "192.0.2.1", 5060)]),
        (("", "192.0.2.1", 5070), [("UDP", "192.0.2.1", 5070)]),
        (("TCP", "192.0.2.1", 0), [("TCP", "192.0.2.1", 5060)]),
        (("SIPS", "192.0.2.1", 0), [("TLS", "192.0.2.1", 5061)]),
        (("SIPS", "192.0.2.1", 5070), [("TLS", "192.0.2.1", 5070)]),
        (("TLS", "192.0.2.1", 0), [("TLS", "192.0.2.1", 5061)]),
        (("", "2001:db8::1", 0), []),
        (("WS", "192.0.2.1", 0), []),
    ],
)
def test_an_ip_address_is_asked_for_nowhere(hop: Hop, expected: list[Hop]) -> None:
    assert walk(hop, {}) == (expected, [])


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        (("", "h.test", 5070), [("UDP", "192.0.2.1", 5070)]),
        (("TCP", "h.test", 5070), [("TCP", "192.0.2.1", 5070)]),
        (("SIPS", "h.test", 5070), [("TLS", "192.0.2.1", 5070)]),
        (("TLS", "h.test", 5070), [("TLS", "192.0.2.1", 5070)]),
    ],
)
def test_a_port_leaves_only_addresses_to_ask_for(hop: Hop, expected: list[Hop]) -> None:
    zone: Zone = {
        ("h.test", "A"): a("192.0.2.1"),
        ("h.test", "NAPTR"): naptr((1, 1, "SIP+D2T", "_sip._tcp.h.test")),
        ("_sip._udp.h.test", "SRV"): srv((1, 1, 5099, "other.test")),
    }
    hops, asked = walk(hop, zone)
    assert hops == expected
    assert kinds(asked) == ["A h.test"]


RFC_3263_ZONE: Zone = {
    # The example of RFC 3263 4.1.
    ("example.com", "NAPTR"): naptr(
        (50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
        (90, 50, "SIP+D2T", "_sip._tcp.example.com"),
        (100, 50, "SIP+D2U", "_sip._udp.example.com"),
    ),
    ("_sips._tcp.example.com", "SRV"): srv((0, 1, 5061, "server1.example.com")),
    ("_sip._tcp.example.com", "SRV"): srv(
        (0, 1, 5060, "server1.example.com"), (1, 2, 5060, "server2.example.com")
    ),
    ("_sip._udp.example.com", "SRV"): srv((0, 1, 5060, "server2.example.com")),
    ("server1.example.com", "A"): a("192.0.2.1"),
    ("server2.example.com", "A"): a("192.0.2.2"),
    ("example.com", "A"): a("192.0.2.99"),
}


@pytest.mark.parametrize(
    ("hop", "can", "expected"),
    [
        (("", "example.com", 0), ALL, [("TLS", "192.0.2.1", 5061)]),
        (
            ("", "example.com", 0),
            over("UDP4", "TCP4"),
            [("TCP", "192.0.2.1", 5060), ("TCP", "192.0.2.2", 5060)],
        ),
        (("", "example.com", 0), over("UDP4"), [("UDP", "192.0.2.2", 5060)]),
        (("SIPS", "example.com", 0), ALL, [("TLS", "192.0.2.1", 5061)]),
        (("SIPS", "example.com", 0), over("UDP4", "TCP4"), []),
    ],
)
def test_naptr_chooses_the_transport_by_order_among_those_that_we_can(
    hop: Hop, can: Can, expected: list[Hop]
) -> None:
    hops, asked = walk(hop, RFC_3263_ZONE, can)
    assert hops == expected
    assert kinds(asked)[0] == "NAPTR example.com"


def test_of_one_order_all_services_are_used_by_preference() -> None:
    records = naptr(
        (10, 20, "SIP+D2U", "u.test"), (10, 10, "SIP+D2T", "t.test"), (20, 1, "SIPS+D2T", "s.test")
    )
    assert choose(records.services, False, ALL) == [("TCP", "t.test"), ("UDP", "u.test")]


def test_websocket_services_are_known() -> None:
    records = naptr((1, 1, "SIP+D2W", "w.test"), (1, 2, "SIPS+D2W", "ws.test"))
    can = over("WS4", "WSS4")
    assert choose(records.services, False, can) == [("WS", "w.test"), ("WSS", "ws.test")]
    assert choose(records.services, True, can) == [("WSS", "ws.test")]


@pytest.mark.parametrize(
    "record",
    [
        Naptr(1, 1, "u", "SIP+D2U", "", "u.test"),
        Naptr(1, 1, "", "SIP+D2U", "", "u.test"),
        Naptr(1, 1, "s", "E2U+SIP", "", "u.test"),
        Naptr(1, 1, "s", "SIPS+D2U", "", "u.test"),
        Naptr(1, 1, "s", "SIP+D2U", "!^.*$!sip:x@y!", ""),
        Naptr(1, 1, "s", "SIP+D2U", "", ""),
        Naptr(1, 1, "s", "SIP+D2U", "", "b\\@d.test"),
    ],
)
def test_naptr_records_that_are_not_for_us_are_passed_over(record: Naptr) -> None:
    good = Naptr(2, 1, "s", "SIP+D2U", "", "u.test")
    assert choose([record], False, ALL) == []
    assert choose([record, good], False, ALL) == [("UDP", "u.test")]


def test_without_naptr_srv_of_each_transport_that_we_can_is_asked_for() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): srv((1, 0, 5062, "u.test")),
        ("_sip._tcp.h.test", "SRV"): srv((0, 0, 5063, "t.test")),
        ("u.test", "A"): a("192.0.2.1"),
        ("t.test", "A"): a("192.0.2.2"),
    }
    hops, asked = walk(("", "h.test", 0), zone)
    assert hops == [("UDP", "192.0.2.1", 5062), ("TCP", "192.0.2.2", 5063)]
    assert kinds(asked) == [
        "NAPTR h.test",
        "SRV _sip._udp.h.test",
        "SRV _sip._tcp.h.test",
        "A u.test",
        "A t.test",
    ]
    hops, asked = walk(("", "h.test", 0), zone, over("TCP4"))
    assert hops == [("TCP", "192.0.2.2", 5063)]
    assert kinds(asked) == ["NAPTR h.test", "SRV _sip._tcp.h.test", "A t.test"]


def test_sips_asks_for_secure_services_only() -> None:
    zone: Zone = {
        ("_sips._tcp.h.test", "SRV"): srv((1, 0, 5071, "s.test")),
        ("_sip._tcp.h.test", "SRV"): srv((1, 0, 5070, "p.test")),
        ("s.test", "A"): a("192.0.2.1"),
    }
    hops, asked = walk(("SIPS", "h.test", 0), zone)
    assert hops == [("TLS", "192.0.2.1", 5071)]
    assert kinds(asked) == ["NAPTR h.test", "SRV _sips._tcp.h.test", "A s.test"]


def test_a_plain_naptr_does_not_take_a_sips_request() -> None:
    zone: Zone = {
        ("h.test", "NAPTR"): naptr((1, 1, "SIP+D2T", "_sip._tcp.h.test")),
        ("_sip._tcp.h.test", "SRV"): srv((1, 0, 5070, "p.test")),
        ("p.test", "A"): a("192.0.2.1"),
    }
    assert walk(("SIPS", "h.test", 0), zone)[0] == []


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("", [("UDP", "192.0.2.1", 5060)]),
        ("UDP", [("UDP", "192.0.2.1", 5060)]),
        ("TCP", [("TCP", "192.0.2.1", 5060)]),
        ("TLS", [("TLS", "192.0.2.1", 5061)]),
        ("SIPS", [("TLS", "192.0.2.1", 5061)]),
        ("WS", [("WS", "192.0.2.1", 80)]),
        ("WSS", [("WSS", "192.0.2.1", 443)]),
    ],
)
def test_without_srv_the_host_itself_at_the_default_port(transport: str, expected: list[Hop]) -> None:
    can = over("UDP4", "TCP4", "TLS4", "WS4", "WSS4")
    assert walk((transport, "h.test", 0), {("h.test", "A"): a("192.0.2.1")}, can)[0] == expected


@pytest.mark.parametrize(
    ("transport", "service"), [("UDP", "_sip._udp"), ("TCP", "_sip._tcp"), ("TLS", "_sips._tcp")]
)
def test_a_transport_that_was_said_has_its_srv_and_no_naptr(transport: str, service: str) -> None:
    zone: Zone = {
        (f"{service}.h.test", "SRV"): srv((1, 0, 5071, "s.test")),
        ("s.test", "A"): a("192.0.2.1"),
    }
    hops, asked = walk((transport, "h.test", 0), zone)
    assert hops == [(transport, "192.0.2.1", 5071)]
    assert kinds(asked) == [f"SRV {service}.h.test", "A s.test"]


def test_naptr_without_srv_keeps_its_transport_for_the_host() -> None:
    zone: Zone = {
        ("h.test", "NAPTR"): naptr((1, 1, "SIP+D2T", "_sip._tcp.h.test")),
        ("h.test", "A"): a("192.0.2.1"),
    }
    assert walk(("", "h.test", 0), zone)[0] == [("TCP", "192.0.2.1", 5060)]


def test_a_site_without_udp_sends_over_tcp_what_says_nothing() -> None:
    zone: Zone = {("h.test", "A"): a("192.0.2.1")}
    assert walk(("", "h.test", 5070), zone, over("TCP4"))[0] == [("TCP", "192.0.2.1", 5070)]


# What is there decidedly, and what is not known.


def test_a_service_that_is_decidedly_not_there_is_not_replaced_by_the_host() -> None:
    zone: Zone = {("_sip._udp.h.test", "SRV"): srv((0, 0, 0, "")), ("h.test", "A"): a("192.0.2.1")}
    assert walk(("UDP", "h.test", 0), zone)[0] == []
    assert walk(("", "h.test", 0), zone)[0] == []


def test_one_service_that_is_not_there_leaves_the_other() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): srv((0, 0, 0, "")),
        ("_sip._tcp.h.test", "SRV"): srv((0, 0, 5060, "t.test")),
        ("t.test", "A"): a("192.0.2.1"),
    }
    assert walk(("", "h.test", 0), zone)[0] == [("TCP", "192.0.2.1", 5060)]


def test_a_naptr_that_failed_is_taken_for_none() -> None:
    zone: Zone = {("h.test", "NAPTR"): FAILED, ("h.test", "A"): a("192.0.2.1")}
    assert walk(("", "h.test", 0), zone)[0] == [("UDP", "192.0.2.1", 5060)]


def test_an_srv_that_failed_does_not_send_the_call_to_the_web_server() -> None:
    zone: Zone = {("_sip._udp.h.test", "SRV"): FAILED, ("h.test", "A"): a("192.0.2.1")}
    assert walk(("UDP", "h.test", 0), zone)[0] == []


def test_an_srv_that_failed_leaves_the_others() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): FAILED,
        ("_sip._tcp.h.test", "SRV"): srv((0, 0, 5060, "t.test")),
        ("t.test", "A"): a("192.0.2.1"),
    }
    assert walk(("", "h.test", 0), zone)[0] == [("TCP", "192.0.2.1", 5060)]


def test_a_server_without_an_address_is_left_out() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): srv((1, 0, 5060, "gone.test"), (2, 0, 5060, "s.test")),
        ("s.test", "A"): a("192.0.2.1"),
    }
    assert walk(("UDP", "h.test", 0), zone)[0] == [("UDP", "192.0.2.1", 5060)]


def test_a_target_that_is_an_address_against_the_rules_is_understood() -> None:
    zone: Zone = {("_sip._udp.h.test", "SRV"): srv((1, 0, 5060, "192.0.2.7"))}
    assert walk(("UDP", "h.test", 0), zone)[0] == [("UDP", "192.0.2.7", 5060)]


# Priorities and weights (RFC 2782).


def test_priorities_go_before_weights() -> None:
    servers = [Srv(20, 1000, 1, "c"), Srv(10, 0, 1, "a"), Srv(10, 0, 1, "b"), Srv(5, 1, 1, "first")]
    for seed in range(50):
        drawn = [server.target for server in draw(servers, Random(seed))]
        assert drawn[0] == "first" and set(drawn[1:3]) == {"a", "b"} and drawn[3] == "c"


def test_servers_are_drawn_by_weight() -> None:
    servers = [Srv(1, 60, 1, "a"), Srv(1, 30, 1, "b"), Srv(1, 10, 1, "c")]
    random = Random(3263)
    drawn = [draw(servers, random) for _ in range(10_000)]
    first = Counter(order[0].target for order in drawn)
    assert first["a"] == pytest.approx(6000, abs=200)
    assert first["b"] == pytest.approx(3000, abs=200)
    assert first["c"] == pytest.approx(1000, abs=200)
    second = Counter(order[1].target for order in drawn if order[0].target == "a")
    # RFC 2782 draws from 0 to the sum, both included, which gives the first a hair more.
    assert second["b"] / second["c"] == pytest.approx(30 / 11, abs=0.3)
    assert all(sorted(server.target for server in order) == ["a", "b", "c"] for order in drawn)


def test_a_weight_of_zero_has_a_small_chance() -> None:
    random = Random(2782)
    servers = [Srv(1, 99, 1, "heavy"), Srv(1, 0, 1, "light")]
    first = Counter(draw(servers, random)[0].target for _ in range(10_000))
    assert first["light"] == pytest.approx(100, abs=50)


def test_the_same_seed_draws_the_same() -> None:
    servers = [Srv(1, 1, 1, str(number)) for number in range(10)]
    assert draw(servers, Random(7)) == draw(servers, Random(7)) != draw(servers, Random(8))


# Addresses.


def test_both_families_are_asked_for_where_both_can_be_reached_and_ipv6_comes_first() -> None:
    zone: Zone = {("h.test", "A"): a("192.0.2.1"), ("h.test", "AAAA"): a("2001:db8::1")}
    hops, asked = walk(("", "h.test", 5060), zone, BOTH)
    assert hops == [("UDP", "2001:db8::1", 5060), ("UDP", "192.0.2.1", 5060)]
    assert kinds(asked) == ["AAAA h.test", "A h.test"]


def test_a_private_ipv6_address_comes_after_ipv4() -> None:
    zone: Zone = {("h.test", "A"): a("192.0.2.1"), ("h.test", "AAAA"): a("fd00::1", "2001:db8::1")}
    hops, _ = walk(("", "h.test", 5060), zone, BOTH)
    assert [hop[1] for hop in hops] == ["2001:db8::1", "192.0.2.1", "fd00::1"]


@pytest.mark.parametrize(("can", "kind"), [(over("UDP4"), "A"), (over("UDP6"), "AAAA")])
def test_a_family_that_cannot_be_reached_is_not_asked_for(can: Can, kind: str) -> None:
    zone: Zone = {("h.test", "A"): a("192.0.2.1"), ("h.test", "AAAA"): a("2001:db8::1")}
    hops, asked = walk(("", "h.test", 5060), zone, can)
    assert kinds(asked) == [f"{kind} h.test"]
    assert len(hops) == 1


def test_a_family_is_used_only_for_the_transports_that_reach_it() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): srv((0, 0, 5060, "s.test")),
        ("_sip._tcp.h.test", "SRV"): srv((0, 0, 5060, "s.test")),
        ("s.test", "A"): a("192.0.2.1"),
        ("s.test", "AAAA"): a("2001:db8::1"),
    }
    hops, _ = walk(("", "h.test", 0), zone, over("UDP4", "TCP6"))
    assert hops == [("UDP", "192.0.2.1", 5060), ("TCP", "2001:db8::1", 5060)]


def test_equal_addresses_take_turns() -> None:
    zone: Zone = {("h.test", "A"): a("192.0.2.1", "192.0.2.2", "192.0.2.3")}
    first = {walk(("", "h.test", 5060), zone, seed=seed)[0][0][1] for seed in range(50)}
    assert first == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}


def test_no_address_comes_twice() -> None:
    zone: Zone = {
        ("_sip._udp.h.test", "SRV"): srv(
            (1, 0, 5060, "s.test"), (2, 0, 5060, "s.test"), (3, 0, 5061, "s.test")
        ),
        ("s.test", "A"): a("192.0.2.1"),
    }
    hops, asked = walk(("UDP", "h.test", 0), zone)
    assert hops == [("UDP", "192.0.2.1", 5060), ("UDP", "192.0.2.1", 5061)]
    assert kinds(asked).count("A s.test") == 1


def test_the_hosts_that_are_asked_for_are_bounded() -> None:
    zone: Zone = {("_sip._udp.h.test", "SRV"): srv(*((n, 0, 5060, f"s{n}.test") for n in range(50)))}
    _, asked = walk(("UDP", "h.test", 0), zone, BOTH)
    assert len([kind for _, kind in asked if kind == "A"]) == MAX_HOSTS


# Names and addresses that are none.


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "x" * 64 + ".test",
        ".".join(["x" * 60] * 5),
        "münchen.test",
        "a b.test",
        "a\\.test",
        "192.0.2.999",
    ],
)
def test_what_is_no_name_has_no_addresses_and_is_asked_for_nowhere(host: str) -> None:
    assert not is_name(host)
    for hop in (("", host, 0), ("", host, 5060), ("UDP", host, 0), ("SIPS", host, 5061)):
        assert walk(hop, {}) == ([], [])


@pytest.mark.parametrize(
    "host", ["h.test", "gw_1.test", "xn--mnchen-3ya.test", "single", "1.2.test", "x" * 63]
)
def test_names_of_machines_are_names(host: str) -> None:
    assert is_name(host)


def test_a_name_too_long_for_its_services_still_has_addresses() -> None:
    host = ".".join(["x" * 60] * 4) + ".test"
    assert len(host) == 248
    zone: Zone = {(host, "A"): a("192.0.2.1")}
    hops, asked = walk(("UDP", host, 0), zone)
    assert hops == [("UDP", "192.0.2.1", 5060)]
    assert kinds(asked) == [f"A {host}"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", True),
        ("127.0.0.1", True),
        ("2001:db8::1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.1.75", False),
        ("ff02::1", False),
        ("255.255.255.255", False),
        ("::ffff:192.0.2.1", False),
        ("h.test", False),
    ],
)
def test_addresses_that_lead_to_nobody_else_are_not_used(address: str, expected: bool) -> None:
    assert usable_address(address) is expected


# The hosts file.

HOSTS = """
127.0.0.1 localhost
192.0.2.1  Gateway gateway.test  # comment other
2001:db8::1 gateway
not-an-address name
# 192.0.2.9 hidden
192.0.2.2
"""


def test_a_hosts_file_is_read() -> None:
    assert parse_hosts(HOSTS) == {
        "localhost": ("127.0.0.1",),
        "gateway": ("192.0.2.1", "2001:db8::1"),
        "gateway.test": ("192.0.2.1",),
    }


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("gateway", "A", a("192.0.2.1")),
        ("gateway", "AAAA", a("2001:db8::1")),
        ("gateway.test", "AAAA", NOTHING),
        ("gateway", "NAPTR", NOTHING),
        ("_sip._udp.gateway", "SRV", NOTHING),
        ("_sips._tcp.gateway.test", "SRV", NOTHING),
        ("localhost", "A", a("127.0.0.1")),
        ("localhost", "AAAA", NOTHING),
        ("phone.localhost", "A", a("127.0.0.1")),
        ("phone.localhost", "AAAA", a("::1")),
        ("other.test", "A", None),
        ("_sip._udp.other.test", "SRV", None),
    ],
)
def test_local_names_need_no_name_server(name: str, kind: str, expected: Answer | None) -> None:
    assert local_answer(Question(name, kind), parse_hosts(HOSTS)) == expected


def test_a_site_without_a_fitting_listener_asks_nothing() -> None:
    can: Callable[[str, int], bool] = over()
    assert walk(("UDP", "h.test", 0), {}, can) == ([], [])
    assert walk(("TLS", "h.test", 5061), {}, can) == ([], [])
