"""How long datagrams wait: by the kernel's stamps, whatever becomes of the clock that stamps."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from oneproxy.transport.udp import BATCH, SHORT_BATCH, UdpListener
from oneproxy.transport.waiting import BUSY_S, Lag, Waits, stamped
from ports import free_port
from wires import ScriptedWire, in_loop, message

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps datagrams")


class Clocks:
    """One that people set, and one that never jumps."""

    def __init__(self) -> None:
        self.steady_s = 100.0
        self.wall_s = 1_000_000.0

    def steady(self) -> float:
        return self.steady_s

    def wall(self) -> float:
        return self.wall_s

    def pass_time(self, seconds: float) -> None:
        self.steady_s += seconds
        self.wall_s += seconds


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind(("127.0.0.1", 0))
        yield one


def test_a_wait_is_the_time_since_the_stamp(sock: socket.socket) -> None:
    clocks = Clocks()
    waits = Waits(sock, clocks.wall, clocks.steady)
    stamp = clocks.wall()
    clocks.pass_time(0.07)
    assert waits.waited_s(stamp) == pytest.approx(0.07)


@pytest.mark.parametrize("jump_s", [0.02, 3600.0, -0.02, -3600.0])
def test_a_clock_that_is_set_is_no_overload(sock: socket.socket, jump_s: float) -> None:
    clocks = Clocks()
    waits = Waits(sock, clocks.wall, clocks.steady)
    stamp = clocks.wall()
    clocks.pass_time(0.01)
    clocks.wall_s += jump_s
    assert waits.waited_s(stamp) in (None, 0.0)
    # What came before it does not count either when it is looked at later.
    clocks.pass_time(0.01)
    assert waits.waited_s(stamp) in (None, 0.0)
    after = clocks.wall()
    clocks.pass_time(0.08)
    assert waits.waited_s(after) == pytest.approx(0.08)


def test_a_clock_that_is_slewed_goes_on_to_count(sock: socket.socket) -> None:
    clocks = Clocks()
    waits = Waits(sock, clocks.wall, clocks.steady)
    for _ in range(100):
        stamp = clocks.wall()
        clocks.pass_time(30.0)
        clocks.wall_s += 30 * 0.0005
        assert waits.waited_s(stamp) == pytest.approx(30, rel=0.001)


def test_the_oldest_datagram_is_looked_at_and_left_where_it_is(sock: socket.socket) -> None:
    waits = stamped(sock)
    assert waits is not None
    assert waits.look(5.0) is None
    assert waits.due_at == pytest.approx(5.01)
    before = time.time()
    sock.sendto(b"first", sock.getsockname())
    sock.sendto(b"second", sock.getsockname())
    found = waits.look(6.0)
    assert found is not None
    assert 0 <= found[0] <= time.time() - before
    assert found[1] == 0
    assert sock.recv(10) == b"first"


def test_what_there_is_no_room_for_is_counted_once(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    waits = stamped(sock)
    assert waits is not None
    for _ in range(50):
        sock.sendto(b"x" * 500, sock.getsockname())
    found = waits.look(1.0)
    assert found is not None
    kept = 0
    with suppress(BlockingIOError):
        while sock.recv(1000):
            kept += 1
    assert found[1] == 50 - kept > 0
    sock.sendto(b"x", sock.getsockname())
    again = waits.look(2.0)
    assert again is not None
    assert again[1] == 0


class Waiting:
    """A listener whose datagrams have waited for as long as the test says."""

    def __init__(self, wait_s: float) -> None:
        self.listener = UdpListener("127.0.0.1", 0, "", 0)
        self.wire = ScriptedWire()
        self.told: list[tuple[float, float, int]] = []
        self.listener._wire = self.wire
        self.listener.on_waited = lambda now, waited_s, drops: self.told.append((now, waited_s, drops))
        clocks = Clocks()
        clocks.wall_s = time.time()
        waits = Waits(self.listener.socket, lambda: clocks.wall_s + wait_s, clocks.steady)
        self.listener._waits = waits

    def read(self, sent: int) -> int:
        """So many come; how many are read at once."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(sent):
                client.sendto(b"x", ("127.0.0.1", self.listener.port))
        before = len(self.wire.came)
        self.listener._readable()
        return len(self.wire.came) - before


def test_where_datagrams_wait_they_are_read_some_at_a_time_and_it_is_told_before_each() -> None:
    waiting = Waiting(3600.0)
    try:
        assert [waiting.read(sent) for sent in (BATCH + 10, 0, 0)] == [SHORT_BATCH] * 3
        assert len(waiting.told) == 3
        assert all(waited_s > BUSY_S and not drops for _, waited_s, drops in waiting.told)
    finally:
        waiting.listener.close()


def test_where_nothing_waits_a_batch_is_whole_and_looked_at_now_and_then() -> None:
    waiting = Waiting(-3600.0)
    try:
        # The last one was not full, and no time has passed since the look before it.
        assert [waiting.read(sent) for sent in (BATCH + 10, 0, 5)] == [BATCH, 10, 5]
        assert [waited_s for _, waited_s, _ in waiting.told] == [0.0, 0.0]
    finally:
        waiting.listener.close()


@pytest.mark.parametrize("uv", [False, True])
def test_a_look_that_finds_an_error_of_what_was_sent_leaves_nobody_deaf(uv: bool) -> None:
    """It takes the error from the socket: who does not read it then hears nothing any more."""

    async def play() -> None:
        wire = ScriptedWire()
        one = UdpListener("127.0.0.1", 0, "", 0)
        assert one._waits is not None
        one.start(wire)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for number in range(3):
                one._waits.due_at = 0.0
                one.flow("127.0.0.1", free_port("127.0.0.1")).send(message())
                await wire.until(lambda number=number: len(wire.not_delivered) == number + 1)  # type: ignore[misc]
                assert one._waits.due_at > 0.0
                peer.sendto(b"still there", ("127.0.0.1", one.port))
                await wire.until(lambda number=number: len(wire.came) == number + 1)  # type: ignore[misc]
        one.close()

    in_loop(play, uv)


class ScriptedLoop:
    """Does what is due when the test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[..., object]]] = []

    def call_later(self, delay: float, callback: Callable[..., object]) -> None:
        self.due.append((delay, callback))


def test_a_loop_that_is_late_tells_by_how_much_and_is_looked_at_more_often() -> None:
    loop, clocks = ScriptedLoop(), Clocks()
    told: list[tuple[float, float, int]] = []
    lag = Lag(loop, lambda: 7.0, lambda *what: told.append(what), clocks.steady)  # type: ignore[arg-type]
    delays = []
    for late_s in (0.0, 0.08, 0.0):
        delay, look = loop.due.pop()
        delays.append(delay)
        clocks.pass_time(delay + late_s)
        look()
    assert delays == [0.1, 0.1, 0.01]
    assert told == [(7.0, 0.0, 0), (7.0, pytest.approx(0.079), 0), (7.0, 0.0, 0)]
    lag.stop()
    loop.due.pop()[1]()
    assert (len(told), loop.due) == (3, [])
