"""What it costs to find a route, with ten prefixes and with a hundred thousand, and to rewrite a call.

    python bench/routes.py --fast

A pyperf script, as `parts.py`. Numbers differ from call to call, so that no memory of them helps.
"""

import gc
import sys
from collections.abc import Callable
from random import Random
from time import perf_counter

import pyperf  # type: ignore[import-untyped]

from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from oneproxy.site.countries import find_country
from oneproxy.site.model import Format, Rewrite, Route
from oneproxy.trunks.call import Call
from oneproxy.trunks.identity import find_identity
from oneproxy.trunks.inbound import Peer, Peers
from oneproxy.trunks.outgoing import Side, make_outgoing
from oneproxy.trunks.routes import Routes

NOW = 1_800_000_000.0
#: So many calls are made beforehand, and taken in turn.
CALLS = 20_000
INVITE = (
    b"INVITE sip:+351912345678@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
    b'Max-Forwards: 70\r\nFrom: "Alice" <sip:+351211234567@example.com>;tag=a\r\n'
    b"To: <sip:+351912345678@example.com>\r\nCall-ID: 1@192.0.2.10\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.10:5060>\r\nContent-Length: 0\r\n\r\n"
)


def prefixes(count: int, seed: int = 7) -> list[str]:
    """Prefixes as a rate sheet has them: of a country, a network, and blocks within it."""
    random = Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"+{random.randrange(1, 10 ** random.randint(2, 8))}"] = None
    return list(found)


def routes_of(count: int, **conditions: object) -> dict[str, Route]:
    """So many routes, and one for all other numbers."""
    routes = {
        prefix: Route(prefix, provider="a", strip=1, **conditions)  # type: ignore[arg-type]
        for prefix in prefixes(count)
    }
    return routes | {"": Route("", provider="b")}


def calls_for(routes: dict[str, Route]) -> list[Call]:
    """Calls to numbers that begin with these prefixes, in no order."""
    random = Random(3)
    known = list(routes)
    return [
        Call(
            f"{random.choice(known)}{random.randrange(10**6):06}"[:16],
            NOW + number * 0.01,
            "example.com",
            "alice@example.com",
            "+351211234567",
            "192.0.2.7",
        )
        for number in range(CALLS)
    ]


def finding(count: int, **conditions: object) -> Callable[[int], float]:
    """Find the route of one call after the other. Plans are made before, as a node has them soon."""

    def run(loops: int) -> float:
        routes = routes_of(count, **conditions)
        calls = calls_for(routes)
        table = Routes(routes, lengths={len(prefix) for prefix in routes})
        for call in calls:
            if table.find(call) is None:
                sys.exit("bench: a call without a route")
        gc.freeze()
        find = table.find
        began = perf_counter()
        for number in range(loops):
            find(calls[number % CALLS])
        return perf_counter() - began

    return run


def main() -> None:
    """Measure all of it."""
    runner = pyperf.Runner()
    few = runner.bench_time_func("find a route among 10", finding(10))
    many = runner.bench_time_func("find a route among 100,000", finding(100_000))
    office = {"times": ("Mon-Sun 00:00-23:59",), "time_zone": "Europe/Lisbon"}
    runner.bench_time_func("find a route among 100,000, by its hours", finding(100_000, **office))
    request = split(INVITE)
    if not isinstance(request, Request) or check(request) is not None:
        sys.exit("bench: no INVITE")
    call = Call("+351912345678", NOW, "example.com", "alice@example.com", "+351211234567", "192.0.2.7")
    plan = Routes({"": Route("", provider="a", strip=1, prepend="00")}).find(call)
    if plan is None:
        sys.exit("bench: no route")
    plain = Side("a/a1", "sip:198.51.100.10:5060")
    format_ = Format("digits", "PT", Rewrite(pattern=r"00(\d+)", replace=r"+\1"), identity="asserted")
    asserting = Side("a/a2", "sip:198.51.100.10:5060", format_)
    identity = find_identity(request, False)
    runner.bench_func("who calls", find_identity, request, False)
    runner.bench_func(
        "rewrite a call by strip and prepend", make_outgoing, request, call, plan, plain, identity
    )
    runner.bench_func(
        "rewrite it by a pattern and a form, and assert who calls",
        make_outgoing,
        request,
        call,
        plan,
        asserting,
        identity,
    )
    runner.bench_func("read a number as it is dialled in Portugal", find_country("PT").read, "912345678")
    peers = Peers(
        [Peer("a", f"a{number}", f"sip:198.51.{number >> 8}.{number & 255}") for number in range(1000)]
    )
    runner.bench_func("which of 1,000 gateways a call comes from", peers.find, "198.51.1.7", 5060)
    if few is not None and many is not None and few.get_nvalue() and many.get_nvalue():
        # The least of many: whatever else the machine does is no part of it.
        more_us = (min(many.get_values()) - min(few.get_values())) * 1e6
        print(f"100,000 prefixes cost {more_us:.2f} us more than 10; 5 are allowed")
        if more_us > 5:
            sys.exit(1)


if __name__ == "__main__":
    main()
