"""A child and its life line, with a real process at the other end of the pipes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from oneproxy.ipc.child import EXIT_NOT_A_CHILD, EXIT_ORPHANED
from oneproxy.ipc.messages import Failed, FromChild, Ready, Start, Stop
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.site.model import Machine
from waiting import PATIENCE_S

START = Start(Machine("edge-1", (), "", ""), "unix:/x", "token", 3)

CHILD = """
import asyncio, sys
from oneproxy.ipc import child
start, parent = child.meet()
print("a stray print")
async def main():
    stop = asyncio.get_running_loop().create_future()
    parent.watch(asyncio.get_running_loop(), stop.set_result)
    parent.ready(f"{start.machine.name} {start.index} {start.token}")
    parent.failed(f"stopped with {await stop}")
if sys.argv[1] == "stuck":
    parent.ready("stuck")
    while True: pass
asyncio.run(main())
"""


class Process:
    """A child, and the reading of what it says."""

    def __init__(self, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._decoder = Decoder[FromChild](FromChild)
        self._heard: list[FromChild] = []

    @staticmethod
    def pipe(end: IO[bytes] | None) -> IO[bytes]:
        assert end is not None
        return end

    def say(self, data: bytes) -> None:
        self.pipe(self.process.stdin).write(data)

    def hear(self) -> FromChild | None:
        """The next message; None when the child has closed its end."""
        while not self._heard:
            data = self.pipe(self.process.stdout).read(4096)
            if not data:
                return None
            self._heard += self._decoder.feed(data)
        return self._heard.pop(0)

    def end(self) -> tuple[int, str]:
        """Its exit status and what it wrote on standard error."""
        errors = self.pipe(self.process.stderr).read().decode()
        return self.process.wait(PATIENCE_S), errors


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[Process]:
    process = Process(getattr(request, "param", "plain"))
    yield process
    process.process.kill()
    process.process.wait(PATIENCE_S)
    for end in (process.process.stdin, process.process.stdout, process.process.stderr):
        process.pipe(end).close()


def test_a_child_takes_its_start_reports_and_stops(child: Process) -> None:
    child.say(encode(START))
    assert child.hear() == Ready("edge-1 3 token")
    child.say(encode(Stop(2.5)))
    assert child.hear() == Failed("stopped with 2.5")
    assert child.hear() is None
    assert child.end() == (0, "a stray print\n")


def test_a_stop_that_comes_with_the_start_is_not_lost(child: Process) -> None:
    child.say(encode(START) + encode(Stop(1.0)))
    assert child.hear() == Ready("edge-1 3 token")
    assert child.hear() == Failed("stopped with 1.0")


def test_sigterm_stops_a_child_and_sigint_is_ignored(child: Process) -> None:
    child.say(encode(START))
    assert child.hear() == Ready("edge-1 3 token")
    child.process.send_signal(signal.SIGINT)
    child.process.send_signal(signal.SIGTERM)
    assert child.hear() == Failed("stopped with 5.0")
    assert child.end() == (0, "a stray print\n")


@pytest.mark.parametrize("child", ["stuck", "plain"], indirect=True)
def test_a_child_ends_at_once_when_its_supervisor_is_gone(child: Process) -> None:
    child.say(encode(START))
    assert isinstance(child.hear(), Ready)
    child.pipe(child.process.stdin).close()
    assert child.end() == (EXIT_ORPHANED, "a stray print\n" if child.hear() is None else "")


def test_a_child_whose_supervisor_never_spoke_ends(child: Process) -> None:
    child.pipe(child.process.stdin).close()
    assert child.end() == (EXIT_ORPHANED, "")


@pytest.mark.parametrize("said", [b"hello, who is there?\n", encode(Stop(1.0))])
def test_a_child_that_is_started_by_hand_says_so(child: Process, said: bytes) -> None:
    child.say(said)
    line = "oneproxy: this process is started by `oneproxy run`, not by hand\n"
    assert child.end() == (EXIT_NOT_A_CHILD, line)
