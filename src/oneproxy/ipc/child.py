"""The child's end of the pipes to its supervisor.

Standard input brings `Start`, later perhaps `Stop`; standard output takes `Ready` or
`Failed`. A thread that sleeps in read() watches the input, not the child's loop: when
the supervisor is gone the child must go too, even while it starts, or while its loop
is stuck, so that no orphan holds the sockets that the next supervisor wants.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, NoReturn

from oneproxy.ipc.messages import Failed, FromChild, Ready, Start, Stop, ToChild
from oneproxy.ipc.stream import Decoder, StreamError, encode

CHUNK: Final = 256 * 1024
#: For a SIGTERM that goes to the child itself, as when a service manager ends a group.
DRAIN_S: Final = 5.0
#: Exit status of a child whose supervisor is gone, and of one started by hand.
EXIT_ORPHANED: Final = 3
EXIT_NOT_A_CHILD: Final = 2


class Parent:
    """The supervisor, as its child sees it. Made by `meet`."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        self._tell: Callable[[Stop], None] | None = None

    def ready(self, detail: str, settled: bool = True, asked: bool = False) -> None:
        """Say that the child serves; detail: what a person is told. Others: as in `Ready`."""
        self._say(Ready(detail, settled, asked))

    def failed(self, reason: str) -> None:
        """Say in one line why the child cannot start; the caller then ends with status 1."""
        self._say(Failed(reason))

    def watch(self, loop: asyncio.AbstractEventLoop, on_stop: Callable[[float], None]) -> None:
        """From now on call `on_stop(drain_s)` in `loop` when the supervisor says Stop.

        SIGTERM to the child itself does the same with DRAIN_S. A Stop that came earlier
        is not lost.
        """
        loop.add_signal_handler(signal.SIGTERM, on_stop, DRAIN_S)

        def tell(stop: Stop) -> None:
            loop.call_soon_threadsafe(on_stop, stop.drain_s)

        with self._lock:
            self._tell = tell
            if self._stop is not None:
                tell(self._stop)

    def stop_came(self, stop: Stop) -> None:
        """In the watching thread: hand a Stop on, or keep it until somebody watches."""
        with self._lock:
            self._stop = stop
            if self._tell is not None:
                self._tell(stop)

    def _say(self, message: FromChild) -> None:
        frame = memoryview(encode(message))
        try:
            while frame:
                frame = frame[os.write(self._output, frame) :]
        except BrokenPipeError:
            os._exit(EXIT_ORPHANED)


def meet() -> tuple[Start, Parent]:
    """Read `Start` from standard input, and give the supervisor to report to.

    Called once, first thing in a child. Afterwards file descriptor 1 is standard error,
    so that a stray print is a line in the log and not a broken frame; SIGINT is ignored,
    since the supervisor decides what a Ctrl-C stops, and when; and the process ends at
    once (os._exit) when standard input does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.isatty(0):
        _not_a_child()
    output = os.dup(1)
    os.dup2(2, 1)
    decoder = Decoder[ToChild](ToChild)
    early: list[ToChild] = []
    try:
        while not early:
            data = os.read(0, CHUNK)
            if not data:
                os._exit(EXIT_ORPHANED)
            early = decoder.feed(data)
    except (StreamError, OSError):
        _not_a_child()
    start, *rest = early
    if not isinstance(start, Start):
        _not_a_child()
    parent = Parent(output)
    for message in rest:
        if isinstance(message, Stop):
            parent.stop_came(message)
    threading.Thread(target=_listen, args=(parent, decoder), name="supervisor", daemon=True).start()
    return start, parent


def _not_a_child() -> NoReturn:
    """End a process that somebody started by hand."""
    sys.stderr.write("oneproxy: this process is started by `oneproxy run`, not by hand\n")
    sys.stderr.flush()
    os._exit(EXIT_NOT_A_CHILD)


def _listen(parent: Parent, decoder: Decoder[ToChild]) -> None:
    """The watching thread: sleeps in read() until the supervisor speaks or is gone."""
    try:
        while data := os.read(0, CHUNK):
            for message in decoder.feed(data):
                if isinstance(message, Stop):
                    parent.stop_came(message)
    except (OSError, StreamError):
        pass
    os._exit(EXIT_ORPHANED)
