"""Name resolution against a DNS server on loopback: memory, waiting, and servers that fail."""

import asyncio
import errno
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dns_server import DnsServer
from oneproxy.engine.flow import Hop
from oneproxy.transport import answers, nameservers
from oneproxy.transport import names as names_module
from oneproxy.transport.dns import Question
from oneproxy.transport.names import ADDRESSES, Names
from waiting import PATIENCE_S, until

#: The time at which every test begins, in seconds.
START = 1_000_000.0
NO_FILE = "/nonexistent/hosts"


def everything(transport: str, version: int) -> bool:
    return version == 4 and transport in ("UDP", "TCP", "TLS")


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent servers are given up in a third of the time."""
    monkeypatch.setattr(nameservers, "_TRY_S", 0.5)
    monkeypatch.setattr(answers, "QUESTION_S", 1.1)
    monkeypatch.setattr(names_module, "FOUND_BY_S", 1.3)
    monkeypatch.setattr(names_module, "PATIENCE_S", 0.05)


@asynccontextmanager
async def looking(*servers: DnsServer | tuple[str, int], **more: Any) -> AsyncIterator[Names]:
    """Names over these servers, which are closed in the end."""
    addresses = [one.address if isinstance(one, DnsServer) else one for one in servers]
    names = Names(more.pop("can", everything), addresses, more.pop("hosts", NO_FILE), seed=1, **more)
    names.start()
    try:
        yield names
    finally:
        await names.close()


async def ask(names: Names, hop: Hop, now: float = START) -> list[Hop]:
    """The addresses, whenever they come."""
    later: asyncio.Future[list[Hop]] = asyncio.get_running_loop().create_future()
    hops = names.find(now, hop, lambda _, hops: later.set_result(hops))
    if hops is not None:
        return hops
    return await asyncio.wait_for(later, PATIENCE_S)


def known(names: Names, hop: Hop, now: float) -> list[Hop] | None:
    """The addresses that memory has, or None."""
    return names.find(now, hop, lambda now, hops: None)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]], uv: bool = False) -> None:
    """Run a test in a loop of its own."""
    if uv and sys.platform != "win32":
        import uvloop  # noqa: PLC0415

        uvloop.run(test())
    else:
        asyncio.run(test())


def udp(*addresses: str, port: int = 5060) -> list[Hop]:
    return [("UDP", address, port) for address in addresses]


def add_services(server: DnsServer) -> None:
    server.add("example.test", "NAPTR", '10 10 "s" "SIP+D2U" "" _sip._udp.example.test.')
    server.add("_sip._udp.example.test", "SRV", "10 1 5080 a.example.test.", "20 1 5081 b.example.test.")
    server.add("a.example.test", "A", "192.0.2.1")
    server.add("b.example.test", "A", "192.0.2.2")


@pytest.mark.parametrize("uv", [False, True])
def test_a_domain_is_found_by_naptr_srv_and_a_and_then_known_in_both_loops(
    uv: bool, server: DnsServer
) -> None:
    add_services(server)

    async def play() -> None:
        async with looking(server) as names:
            expected = [("UDP", "192.0.2.1", 5080), ("UDP", "192.0.2.2", 5081)]
            assert await ask(names, ("", "example.test", 0)) == expected
            assert server.total() == names.answers.asked == 4
            assert known(names, ("", "example.test", 0), START + 1) == expected
            assert known(names, ("", "EXAMPLE.test.", 0), START + 1) == expected
            assert server.total() == 4

    in_loop(play, uv)


@pytest.mark.parametrize("uv", [False, True])
def test_an_answer_that_was_cut_is_asked_for_over_tcp(uv: bool, server: DnsServer) -> None:
    server.add("many.test", "A", *(f"192.0.2.{number}" for number in range(1, 61)))
    server.add("cut.test", "A", "192.0.2.1")
    server.misbehave("cut.test", "truncate")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("", "cut.test", 5060)) == udp("192.0.2.1")
            hops = await ask(names, ("", "many.test", 5060))
            assert len(set(hops)) == len(hops) == ADDRESSES
            assert server.over_tcp == 2

    in_loop(play, uv)


def test_an_answer_that_cannot_be_had_over_tcp_either_is_a_failure_at_once(server: DnsServer) -> None:
    server.misbehave("cut.test", "broken")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("", "cut.test", 5060)) == []
            assert server.count("cut.test") == 2

    in_loop(play)


def test_cnames_are_followed(server: DnsServer) -> None:
    server.add("alias.test", "CNAME", "other.test.")
    server.add("other.test", "CNAME", "h.test.")
    server.add("h.test", "A", "192.0.2.1")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("", "alias.test", 5060)) == udp("192.0.2.1")

    in_loop(play)


def test_both_families_are_found(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")
    server.add("h.test", "AAAA", "2001:db8::1")

    async def play() -> None:
        async with looking(server, can=lambda transport, version: transport == "UDP") as names:
            assert await ask(names, ("", "h.test", 5060)) == udp("2001:db8::1", "192.0.2.1")

    in_loop(play)


# What is kept, and for how long.


@pytest.mark.parametrize(("ttl", "kept"), [(60, 60), (0, 5), (1, 5), (86_400, 3600)])
def test_an_answer_is_kept_for_its_time_within_bounds(ttl: int, kept: int, server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1", ttl=ttl)

    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(server) as names:
            assert await ask(names, hop) == udp("192.0.2.1")
            assert known(names, hop, START + kept - 1) == udp("192.0.2.1")
            assert server.total() == 1
            server.remove("h.test", "A")
            server.add("h.test", "A", "192.0.2.2", ttl=ttl)
            assert await ask(names, hop, START + kept + 1) == udp("192.0.2.2")
            assert server.total() == 2

    in_loop(play)


@pytest.mark.parametrize(("minimum", "kept"), [(30, 30), (0, 1), (3600, 60)])
@pytest.mark.parametrize("exists", [False, True])
def test_that_there_are_no_records_is_kept_for_the_minimum_of_the_soa_within_bounds(
    minimum: int, kept: int, exists: bool
) -> None:
    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(zone) as names:
            assert await ask(names, hop) == []
            assert known(names, hop, START + kept - 0.5) == []
            assert zone.count("h.test") == 1
            zone.add("h.test", "A", "192.0.2.1")
            assert await ask(names, hop, START + kept + 1) == udp("192.0.2.1")

    with DnsServer(negative_ttl=minimum) as zone:
        if exists:
            zone.add("h.test", "TXT", '"no address"')
        in_loop(play)


def test_a_failure_is_kept_for_five_seconds(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")
    server.misbehave("h.test", "servfail")

    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(server) as names:
            assert await ask(names, hop) == []
            assert names.answers.failures == 1
            server.misbehave("h.test", None)
            assert known(names, hop, START + 4.5) == []
            assert await ask(names, hop, START + 5.5) == udp("192.0.2.1")

    in_loop(play)


@pytest.mark.parametrize("fault", ["servfail", "hang"])
@pytest.mark.usefixtures("impatient")
def test_records_that_ran_out_are_used_for_an_hour_while_no_server_answers(
    fault: Any, server: DnsServer
) -> None:
    server.add("h.test", "A", "192.0.2.1", ttl=60)

    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(server) as names:
            await ask(names, hop)
            server.misbehave("*", fault)
            # The first to come after the time sees the failure, and has the old address.
            assert known(names, hop, START + 61) is None
            assert await ask(names, hop, START + 61) == udp("192.0.2.1")
            asked = server.total()
            # The next ones do not wait, and for five seconds nobody asks again.
            assert known(names, hop, START + 65) == udp("192.0.2.1")
            assert not names.answers._asking
            assert known(names, hop, START + 80) == udp("192.0.2.1")
            await until(lambda: server.total() > asked and not names.answers._asking)
            assert known(names, hop, START + 60 + 3599) == udp("192.0.2.1")
            await until(lambda: not names.answers._asking)
            assert names.answers.stale > 0
            assert await ask(names, hop, START + 60 + 3601) == []

    in_loop(play)


def test_the_servers_coming_back_is_noticed_beside_the_calls(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1", ttl=60)

    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(server) as names:
            await ask(names, hop)
            server.misbehave("*", "refused")
            assert await ask(names, hop, START + 61) == udp("192.0.2.1")
            server.remove("h.test", "A")
            server.add("h.test", "A", "192.0.2.2", ttl=60)
            server.misbehave("*", None)
            assert known(names, hop, START + 67) == udp("192.0.2.1")
            await until(lambda: not names.answers._asking)
            assert known(names, hop, START + 68) == udp("192.0.2.2")

    in_loop(play)


def test_a_name_that_is_gone_is_not_kept_alive(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1", ttl=60)

    async def play() -> None:
        async with looking(server) as names:
            await ask(names, ("", "h.test", 5060))
            server.remove("h.test", "A")
            assert await ask(names, ("", "h.test", 5060), START + 61) == []

    in_loop(play)


def test_the_oldest_answers_make_room(monkeypatch: pytest.MonkeyPatch, server: DnsServer) -> None:
    monkeypatch.setattr(answers, "KEPT", 3)
    for number in range(5):
        server.add(f"h{number}.test", "A", f"192.0.2.{number + 1}")

    async def play() -> None:
        async with looking(server) as names:
            for number in range(5):
                await ask(names, ("", f"h{number}.test", 5060))
            assert [name for name, _ in names.answers._known] == ["h2.test", "h3.test", "h4.test"]

    in_loop(play)


# Servers that fail.


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("uv", [False, True])
def test_a_name_server_that_hangs_delays_nobody_else(uv: bool, server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")
    server.misbehave("slow.test", "hang")

    async def play() -> None:
        async with looking(server) as names:
            await ask(names, ("", "h.test", 5060))
            slow = asyncio.ensure_future(ask(names, ("", "slow.test", 5060)))
            await until(lambda: server.count("slow.test") > 0)
            server.add("other.test", "A", "192.0.2.2")
            assert known(names, ("", "h.test", 5060), START) == udp("192.0.2.1")
            assert await ask(names, ("", "other.test", 5060)) == udp("192.0.2.2")
            assert not slow.done()
            assert await slow == []
            # It was asked again, since a datagram may be lost.
            assert server.count("slow.test") > 1

    in_loop(play, uv)


def test_a_caller_waits_for_four_seconds_at_most(server: DnsServer) -> None:
    server.misbehave("*", "hang")

    async def play() -> None:
        async with looking(server, server) as names:
            begin = time.monotonic()
            assert await ask(names, ("", "h.test", 0)) == []
            assert 3 < time.monotonic() - begin < 12

    in_loop(play)


@pytest.mark.usefixtures("impatient")
def test_an_address_that_is_there_does_not_wait_for_one_that_hangs(server: DnsServer) -> None:
    server.add("_sip._udp.h.test", "SRV", "1 0 5060 slow.test.", "2 0 5060 quick.test.")
    server.add("quick.test", "A", "192.0.2.2")
    server.add("slow.test", "A", "192.0.2.1")
    server.misbehave("slow.test", "hang")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("UDP", "h.test", 0)) == udp("192.0.2.2")
            server.misbehave("slow.test", None)
            await until(lambda: not names.answers._asking)
            assert known(names, ("UDP", "h.test", 0), START + 1) == udp("192.0.2.1", "192.0.2.2")

    in_loop(play)


@pytest.mark.parametrize("fault", ["servfail", "refused", "notimp", "formerr", "broken"])
def test_a_server_that_cannot_say_is_passed_over_at_once_and_then_comes_last(
    fault: Any, server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than anybody waits: who waits for the first server is never told by the second.
    monkeypatch.setattr(nameservers, "_TRY_S", 60.0)
    server.misbehave("*", fault)

    async def play() -> None:
        async with looking(server, second) as names:
            assert await ask(names, ("", "h.test", 5060)) == udp("192.0.2.1")
            asked = server.total()
            assert await ask(names, ("", "other.test", 5060)) == udp("192.0.2.2")
            assert server.total() == asked

    with DnsServer() as second:
        second.add("h.test", "A", "192.0.2.1")
        second.add("other.test", "A", "192.0.2.2")
        in_loop(play)


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_costs_one_try(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")

    async def play() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            async with looking(silent.getsockname(), server) as names:
                assert await ask(names, ("", "h.test", 5060)) == udp("192.0.2.1")

    in_loop(play)


@pytest.mark.usefixtures("impatient")
def test_answers_that_are_garbage_or_somebody_elses_are_ignored(server: DnsServer) -> None:
    server.add("garbage.test", "A", "192.0.2.1")
    server.add("lie.test", "A", "192.0.2.2")
    server.misbehave("garbage.test", "garbage")
    server.misbehave("lie.test", "lie")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("", "lie.test", 5060)) == udp("192.0.2.2")
            assert await ask(names, ("", "garbage.test", 5060)) == []

    in_loop(play)


def test_addresses_that_lead_to_nobody_are_not_used(server: DnsServer) -> None:
    server.add("h.test", "A", "0.0.0.0", "224.0.1.75", "192.0.2.1")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("", "h.test", 5060)) == udp("192.0.2.1")

    in_loop(play)


def test_a_service_that_is_not_available_is_understood_from_the_wire(server: DnsServer) -> None:
    server.add("_sip._udp.h.test", "SRV", "0 0 0 .")
    server.add("h.test", "A", "192.0.2.1")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("UDP", "h.test", 0)) == []

    in_loop(play)


@pytest.mark.parametrize(
    "host", ["x" * 64 + ".test", ".".join(["x" * 60] * 5), "münchen.test", "a..b", "1.2.3"]
)
def test_what_is_no_name_has_no_addresses(host: str, server: DnsServer) -> None:
    async def play() -> None:
        async with looking(server) as names:
            for hop in (("", host, 0), ("", host, 5060), ("TCP", host, 0)):
                assert known(names, hop, START) == []
            assert server.total() == 0

    in_loop(play)


# Those who wait.


def test_many_who_ask_at_once_cause_one_question_and_are_told_in_order(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")

    async def play() -> None:
        told: list[int] = []

        def waiter(number: int) -> Callable[[float, Sequence[Hop]], None]:
            return lambda now, hops: told.append(number)

        async with looking(server) as names:
            for number in range(100):
                assert names.find(START, ("", "h.test", 5060), waiter(number)) is None
            names.on_found = lambda: told.append(-1)
            await until(lambda: len(told) == 101)
            assert told == [*range(100), -1]
            assert server.total() == 1

    in_loop(play)


def test_two_ways_of_asking_share_their_questions(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")
    server.misbehave("h.test", "hang")

    async def play() -> None:
        async with looking(server) as names:
            first = asyncio.ensure_future(ask(names, ("UDP", "h.test", 5060)))
            second = asyncio.ensure_future(ask(names, ("TCP", "h.test", 5070)))
            await until(lambda: server.total() > 0)
            server.misbehave("h.test", None)
            assert await first == [("UDP", "192.0.2.1", 5060)]
            assert await second == [("TCP", "192.0.2.1", 5070)]
            assert server.total() == 2  # the one that hung, counted again when it was answered

    in_loop(play)


def test_a_crowd_that_waited_is_spread_by_weight(server: DnsServer) -> None:
    server.add("_sip._udp.h.test", "SRV", *(f"1 1 5060 s{number}.test." for number in range(4)))
    for number in range(4):
        server.add(f"s{number}.test", "A", f"192.0.2.{number}")

    async def play() -> None:
        async with looking(server) as names:
            asking = [asyncio.ensure_future(ask(names, ("UDP", "h.test", 0))) for _ in range(60)]
            firsts = [(await one)[0] for one in asking]
            assert set(firsts) == set(udp("192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"))

    in_loop(play)


def test_the_time_that_is_told_goes_on(server: DnsServer) -> None:
    server.misbehave("h.test", "hang")

    async def play() -> None:
        told: list[float] = []
        async with looking(server) as names:
            begin = asyncio.get_running_loop().time()
            assert names.find(START, ("", "h.test", 5060), lambda now, hops: told.append(now)) is None
            await until(lambda: server.total() > 0)
            server.misbehave("h.test", None)
            await until(lambda: bool(told))
            assert START < told[0] <= START + asyncio.get_running_loop().time() - begin

    in_loop(play)


def test_a_waiter_that_fails_does_not_keep_the_others_waiting(server: DnsServer) -> None:
    server.add("h.test", "A", "192.0.2.1")

    async def play() -> None:
        def fail(now: float, hops: list[Hop]) -> None:
            raise RuntimeError("a fault of ours")

        async with looking(server) as names:
            assert names.find(START, ("", "h.test", 5060), fail) is None
            assert await ask(names, ("", "h.test", 5060)) == udp("192.0.2.1")

    in_loop(play)


def test_there_is_a_bound_to_those_who_wait(monkeypatch: pytest.MonkeyPatch, server: DnsServer) -> None:
    monkeypatch.setattr(names_module, "WAITING", 3)
    monkeypatch.setattr(names_module, "HOPS", 2)
    server.add("h.test", "A", "192.0.2.1")
    server.add("known.test", "A", "192.0.2.9")
    server.misbehave("h.test", "hang")

    async def play() -> None:
        async with looking(server) as names:
            await ask(names, ("", "known.test", 5060))
            waiting = [asyncio.ensure_future(ask(names, ("", "h.test", 5060))) for _ in range(3)]
            second = asyncio.ensure_future(ask(names, ("", "h.test", 5061)))
            await until(lambda: server.total() > 1)
            assert known(names, ("", "h.test", 5060), START) == []
            assert known(names, ("", "third.test", 5060), START) == []
            assert names.refused == 2
            assert known(names, ("", "known.test", 5060), START) == udp("192.0.2.9")
            server.misbehave("h.test", None)
            assert [await one for one in waiting] == [udp("192.0.2.1")] * 3
            assert await second == udp("192.0.2.1", port=5061)
            # Room again.
            assert await ask(names, ("", "third.test", 5060)) == []
            assert names.refused == 2

    in_loop(play)


def test_without_room_to_wait_records_that_ran_out_are_used(
    monkeypatch: pytest.MonkeyPatch, server: DnsServer
) -> None:
    monkeypatch.setattr(names_module, "HOPS", 1)
    server.add("h.test", "A", "192.0.2.1", ttl=60)
    server.misbehave("slow.test", "hang")

    async def play() -> None:
        hop = ("", "h.test", 5060)
        async with looking(server) as names:
            await ask(names, hop)
            assert known(names, ("", "slow.test", 5060), START + 61) is None
            server.remove("h.test", "A")
            server.add("h.test", "A", "192.0.2.2")
            # Somebody else's slow names do not stop calls to a gateway that was known.
            assert known(names, hop, START + 61) == udp("192.0.2.1")
            assert known(names, ("", "new.test", 5060), START + 61) == []
            assert names.refused == 2
            await until(lambda: Question("h.test", "A") not in names.answers._asking)
            assert known(names, hop, START + 62) == udp("192.0.2.2")

    in_loop(play)


@pytest.mark.parametrize("where", ["_ask", "_search"])
def test_a_fault_of_ours_is_no_address_and_is_logged_a_few_times_only(
    where: str, monkeypatch: pytest.MonkeyPatch, server: DnsServer
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    if where == "_ask":
        monkeypatch.setattr(answers, "local_answer", fail)
    else:
        monkeypatch.setattr(Names, "_answers", fail)

    async def play() -> None:
        with capture_logs() as logged:
            async with looking(server) as names:
                for number in range(30):
                    assert await ask(names, ("", f"h{number}.test", 5060)) == []
                assert names.answers.faults == 30
        assert len([entry for entry in logged if entry["log_level"] == "error"]) == 20

    in_loop(play)


def test_there_is_a_bound_to_the_questions_under_way(
    monkeypatch: pytest.MonkeyPatch, server: DnsServer
) -> None:
    monkeypatch.setattr(answers, "ASKED", 1)
    server.add("_sip._udp.h.test", "SRV", "1 0 5060 a.test.", "2 0 5060 b.test.")
    server.add("a.test", "A", "192.0.2.1")
    server.add("b.test", "A", "192.0.2.2")

    async def play() -> None:
        async with looking(server) as names:
            assert await ask(names, ("UDP", "h.test", 0)) == udp("192.0.2.1")
            # What there was no room for is not remembered as missing.
            assert await ask(names, ("UDP", "h.test", 0)) == udp("192.0.2.1", "192.0.2.2")

    in_loop(play)


def test_closing_while_somebody_waits_leaves_nothing_open(server: DnsServer) -> None:
    server.misbehave("h.test", "hang")

    async def play() -> None:
        told: list[object] = []
        async with looking(server) as names:
            assert names.find(START, ("", "h.test", 0), lambda now, hops: told.append(hops)) is None
            await until(lambda: server.total() > 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert told == []

    in_loop(play)


def test_closing_before_anything_was_loaded_is_quiet() -> None:
    async def play() -> None:
        async with looking(("127.0.0.1", 9)):
            pass
        names = Names(everything)
        await names.close()

    in_loop(play)


# Addresses that failed.


def test_an_address_that_failed_comes_last_for_thirty_seconds(server: DnsServer) -> None:
    add_services(server)

    async def play() -> None:
        hop = ("", "example.test", 0)
        async with looking(server) as names:
            first, second = await ask(names, hop)
            names.failed(START, first)
            assert known(names, hop, START + 1) == [second, first]
            assert known(names, hop, START + 29) == [second, first]
            assert known(names, hop, START + 31) == [first, second]
            names.failed(START + 31, first)
            names.failed(START + 32, second)
            assert known(names, hop, START + 33) == [first, second]
            assert known(names, hop, START + 61.5) == [first, second]

    in_loop(play)


def test_what_failed_is_remembered_within_bounds() -> None:
    names = Names(everything)
    for number in range(5000):
        names.failed(START, ("UDP", f"192.0.2.{number % 256}", number))
    assert len(names._last) == names_module._LASTS
    assert ("UDP", f"192.0.2.{4999 % 256}", 4999) in names._last


# Local names, and the system's name servers.


def test_the_hosts_file_and_localhost_need_no_name_server(
    server: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_LOCAL_S", 0)
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.5 gateway gateway.test\n")

    async def play() -> None:
        async with looking(server, hosts=str(hosts)) as names:
            assert await ask(names, ("", "gateway", 0)) == udp("192.0.2.5")
            assert await ask(names, ("SIPS", "Gateway.test", 0)) == [("TLS", "192.0.2.5", 5061)]
            assert await ask(names, ("", "localhost", 0)) == udp("127.0.0.1")
            assert server.total() == 0
            hosts.write_text("192.0.2.60 gateway\n")
            assert await ask(names, ("", "gateway", 0), START + 1) == udp("192.0.2.60")
            hosts.unlink()
            server.add("gateway", "A", "192.0.2.7")
            assert await ask(names, ("", "gateway", 0), START + 2) == udp("192.0.2.7")

    in_loop(play)


def test_the_systems_name_servers_are_read_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(nameservers, "RESOLV_CONF", str(file))
    monkeypatch.setattr(nameservers, "_LOOK_EVERY_S", 0)

    async def play() -> None:
        system = nameservers.NameServers(())
        seen = []
        for text in (
            "nameserver 192.0.2.53\nsearch test\n",
            "nameserver 2001:db8::53\nnameserver 192.0.2.54\n",
            "",
        ):
            file.write_text(text)
            system._look()
            seen.append(system._servers)
        assert seen == [[("192.0.2.53", 53)], [("2001:db8::53", 53), ("192.0.2.54", 53)], []]
        file.unlink()
        system._look()
        assert await system.ask(Question("h.test", "A"), 1.0) is None

    in_loop(play)


def test_a_file_that_cannot_be_read_for_once_leaves_what_was_known_and_is_read_later(
    server: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nameservers, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    monkeypatch.setattr(nameservers, "_LOOK_EVERY_S", 0)
    monkeypatch.setattr(answers, "_LOCAL_S", 0)
    files = {"resolv.conf": "nameserver 192.0.2.{}\n", "hosts": "192.0.2.{} gateway\n"}

    def write(number: int) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text.format(number) + "#" * number)

    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    async def play() -> None:
        system = nameservers.NameServers(())
        async with looking(server, hosts=str(tmp_path / "hosts")) as names:
            write(1)
            system._look()
            assert await ask(names, ("", "gateway", 0)) == udp("192.0.2.1")
            write(2)
            with monkeypatch.context() as patch:
                patch.setattr("builtins.open", full)
                system._look()
                assert system._servers == [("192.0.2.1", 53)]
                assert await ask(names, ("", "gateway", 0), START + 1) == udp("192.0.2.1")
            system._look()
            assert system._servers == [("192.0.2.2", 53)]
            assert await ask(names, ("", "gateway", 0), START + 2) == udp("192.0.2.2")

    in_loop(play)


def test_nothing_of_the_dns_library_is_loaded_before_it_is_needed() -> None:
    code = "import sys, oneproxy.transport.names; sys.exit('dns' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
