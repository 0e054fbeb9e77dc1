"""The node's part in limiting calls: the site's limits are the gate's, and episodes are logged."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from oneproxy.congestionwork import CongestionWork
from oneproxy.engine.decisions import Forward, Target
from oneproxy.site.model import Congestion, Site
from oneproxy.transport.turns import Turns
from oneproxy.transport.udp import UdpListener
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


class Limited:
    """An engine whose calls are limited by a site, which changes."""

    def __init__(self, **keys: Any) -> None:
        self.world = World(BOB)
        self.work = CongestionWork(self.world.engine, self.site(**keys))
        self.placed = 0

    def site(self, **keys: Any) -> Site:
        return Site({}, {}, congestion=Congestion(**keys))

    def statuses(self, calls: int, uri: str = "sip:bob@example.com") -> list[str]:
        """What so many calls come to: "" for one that goes on, else Retry-After."""
        found = []
        for _ in range(calls):
            self.placed += 1
            caller = self.world.peer("192.0.2.10")
            caller.send(request("INVITE", uri, branch=f"z9hG4bK{self.placed}", call_id=f"c{self.placed}"))
            if caller.has_nothing:
                found.append("")
            else:
                found.append(caller.take_response(503).get("retry-after") or "none")
        return found


def test_the_limits_of_the_site_are_those_of_the_gate() -> None:
    limited = Limited(calls=2, retry_after_s=(7, 7), emergency=("115",))
    assert limited.statuses(3) == ["", "", "7"]
    assert limited.statuses(1, "sip:112@example.com") == ["7"]
    assert limited.statuses(1, "sip:115@example.com") == [""]


def test_a_changed_site_holds_for_the_next_call() -> None:
    limited = Limited(calls=2)
    assert limited.statuses(1) == [""]
    limited.work.take(limited.site(calls=1, retry_after_s=(9, 9)))
    assert limited.statuses(1) == ["9"]
    limited.work.take(limited.site(calls=2))
    assert limited.statuses(1) == [""]
    limited.work.take(limited.site())
    assert limited.statuses(5) == [""] * 5
    assert limited.world.engine.gate.limit is None


def test_without_limits_no_call_is_followed_and_none_remembered() -> None:
    limited = Limited()
    assert limited.statuses(3) == [""] * 3
    assert (limited.world.engine.calls(), limited.world.engine.gate.limit) == (0, None)


def test_an_episode_is_logged_by_its_first_and_last_refusal() -> None:
    with capture_logs() as logged:
        limited = Limited(max_calls=1)
        limited.statuses(4)
        limited.work.stop()
    assert logged == [
        {"event": "calls refused", "log_level": "warning", "code": "max-calls"},
        {
            "event": "no more calls refused",
            "log_level": "warning",
            "refused": 3,
            "seconds": 0.0,
            "codes": {"max-calls": 3},
        },
    ]


def test_neighbours_are_asked_told_and_kept_to_as_the_site_says() -> None:
    limited = Limited()
    engine = limited.world.engine
    assert (engine.neighbours.asks, engine.telling.is_on, engine.neighbours.max_retry_after_s) == (
        True,
        True,
        60,
    )
    limited.work.take(limited.site(oc=False, max_retry_after_s=7))
    assert (engine.neighbours.asks, engine.telling.is_on, engine.neighbours.max_retry_after_s) == (
        False,
        False,
        7,
    )


def test_what_is_not_sent_to_a_neighbour_is_logged_by_its_first_and_last() -> None:
    with capture_logs() as logged:
        limited = Limited()
        world = limited.world
        for call in range(4):
            world.peer("192.0.2.10").send(request("INVITE", branch=f"z9hG4bKx{call}", call_id=f"x{call}"))
            if not call:
                bob = world.peer("192.0.2.20")
                bob.send(response(bob.take_request("INVITE"), 503, "Retry-After: 30"))
        limited.work.stop()
    assert logged == [
        {
            "event": "less sent to a neighbour",
            "log_level": "warning",
            "neighbour": "udp:192.0.2.20:5060",
            "code": "retry-after",
        },
        {
            "event": "all sent to a neighbour again",
            "log_level": "warning",
            "neighbour": "udp:192.0.2.20:5060",
            "not_sent": 3,
            "seconds": 0.0,
            "codes": {"retry-after": 3},
        },
    ]


def test_what_waits_too_long_is_refused_as_the_site_says_and_logged_by_its_first_and_last() -> None:
    with capture_logs() as logged:
        limited = Limited(max_wait_ms=30, retry_after_s=(7, 7))
        wait(limited, 0.045)
        assert limited.statuses(3) == ["7"] * 3
        limited.work.stop()
    assert [(one["event"], one.get("code"), one.get("codes")) for one in logged] == [
        ("overloaded", "overload-call", None),
        ("no more overloaded", None, {"overload-call": 3}),
    ]
    assert limited.world.engine.counters.refused == {"overload-call": 3}


def test_a_changed_site_holds_for_waits_and_priority_too() -> None:
    limited = Limited(max_wait_ms=30)
    wait(limited, 0.045)
    limited.work.take(limited.site(max_wait_ms=0, priority=("dsn",)))
    wait(limited, 3.0)
    assert limited.statuses(2) == ["", ""]
    assert limited.world.engine.gate.priority == {"dsn"}


def test_waits_drops_and_the_share_that_is_refused_are_told() -> None:
    limited = Limited(max_wait_ms=30)
    listener, now = wait(limited, 0.045, 5), limited.world.now
    assert (limited.work.waits(), limited.work.drops) == ((45.0, 45.0), 5)
    assert limited.work.loss_percent(now) == limited.world.engine.gate.shedding.loss_percent > 0
    assert limited.work.loss_percent(now + 60) == 0
    assert listener.on_waited is not None
    listener.on_waited(now + 60, 0.001, 0)
    assert limited.work.period() == (45.0, 30.33)
    assert limited.world.engine.gate.shedding.loss_percent == 0


def wait(limited: Limited, seconds: float, drops: int = 0) -> UdpListener:
    """What comes to a listener has waited for so long."""

    async def watch() -> UdpListener:
        listener = UdpListener("127.0.0.1", 0, "", 0)
        try:
            limited.work.watch([listener], Turns(), lambda: limited.world.now)
            assert listener.on_waited is not None
            listener.on_waited(limited.world.now - 0.2, seconds, drops)
            listener.on_waited(limited.world.now, seconds, 0)
        finally:
            listener.close()
        return listener

    return asyncio.run(watch())
