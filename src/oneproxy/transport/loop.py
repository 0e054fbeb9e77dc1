"""The event loop, as what is here uses it.

Not `asyncio.AbstractEventLoop`: uvloop returns nothing where that promises a bool, and compiled
code believes what types say.
"""

import socket
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Protocol


class Loop(Protocol):
    """Its watching of sockets and its timers."""

    def time(self) -> float:
        """Seconds by its own clock, which never jumps."""
        ...

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> object:
        """Call it at the end of this turn."""
        ...

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> TimerHandle:
        """Call it after `delay` seconds."""
        ...

    def add_reader(self, fd: socket.socket, callback: Callable[..., object], *arguments: object) -> object:
        """Call it while there is something to read."""
        ...

    def remove_reader(self, fd: socket.socket) -> object:
        """Watch no more."""
        ...

    def add_writer(self, fd: socket.socket, callback: Callable[..., object], *arguments: object) -> object:
        """Call it while there is room to write."""
        ...

    def remove_writer(self, fd: socket.socket) -> object:
        """Watch no more."""
        ...
