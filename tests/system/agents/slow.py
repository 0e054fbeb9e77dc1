"""Clients that send one octet a second, and when the server has had enough of each."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final

from waiting import PATIENCE_S

_EVERY_S: Final = 1.0


class Slow:
    """One connection that says `text` over and over, an octet at a time."""

    def __init__(self, connected: socket.socket, text: bytes, before: bytes = b"") -> None:
        self._socket = connected
        if before:
            connected.sendall(before)
        connected.setblocking(False)
        self._text = text
        self._sent = 0
        self._began = time.monotonic()
        #: Seconds from the first octet to the end of the connection; None while it stands.
        self.lasted_s: float | None = None

    def step(self) -> None:
        """Read what came, and send the next octet."""
        if self.lasted_s is not None:
            return
        at = self._sent % len(self._text)
        try:
            self._read()
            self._socket.send(self._text[at : at + 1])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.lasted_s = time.monotonic() - self._began
        self._sent += 1

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while data := self._socket.recv(65536):
                del data
            raise ConnectionError

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class SlowClients:
    """All of them, in a thread of their own; a context manager."""

    def __init__(self, clients: dict[str, Slow]) -> None:
        self.clients = clients
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            for client in self.clients.values():
                client.step()

    def wait(self, enough: Callable[[], bool], within_s: float) -> bool:
        """Wait until `enough` says so; whether it did in time."""
        until = time.monotonic() + within_s
        while not enough() and time.monotonic() < until:
            time.sleep(0.1)
        return enough()

    def close(self) -> None:
        """End the thread and close the connections."""
        self._stopping.set()
        self._thread.join(PATIENCE_S)
        for client in self.clients.values():
            client.close()
