"""A server with registered users, someone who answers, and calls through it.

What the benchmarks of whole processes share; the pieces are those of the system tests.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from system.server import Server, cpu_s, resident_bytes
from system.sipp import Result, Sipp, write_users

__all__ = ["USERS", "Load", "Server", "oneproxy"]

USERS = [f"user{number}" for number in range(1000)]


class Load:
    """A context manager: the server runs, all users are registered where SIPp answers.

    server: not started yet. lost: per cent of the datagrams that SIPp drops, both ways.
    transport: "udp" or "tcp", of both sides. password: of all users, where they are asked for one.
    """

    def __init__(
        self, server: Server, folder: Path, lost: int = 0, transport: str = "udp", password: str = ""
    ) -> None:
        self.server = server
        self._folder = folder
        self._lost = lost
        self._transport = transport
        self._password = password
        self._called: Sipp | None = None

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._called = Sipp("answer", self._folder, lost=self._lost, transport=self._transport)
            self._register(self._called.port)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._called is not None:
            self._called.__exit__(kind, error, trace)
        self.server.close()

    def _register(self, port: int) -> None:
        proof = ";[authentication username={0} password={1}]" if self._password else ""
        rows = write_users(
            self._folder / "users", [f"{user};{port}{proof.format(user, self._password)}" for user in USERS]
        )
        with Sipp(
            "register",
            self._folder,
            server=self._address(),
            users=rows,
            calls=len(USERS),
            rate=300,
            transport=self._transport,
        ) as registering:
            result = registering.result()
        if result.done != len(USERS):
            raise RuntimeError(f"only {result.done} of {len(USERS)} users registered: {result.errors}")

    def calls(self, count: int, rate: int, talk_ms: int = 1000, options: Sequence[str] = ()) -> Result:
        """Place `count` calls to users drawn at random, `rate` a second. options: more of SIPp's."""
        dialled = write_users(self._folder / "dialled", USERS, "RANDOM")
        with Sipp(
            "call",
            self._folder,
            server=self._address(),
            users=dialled,
            transport=self._transport,
            calls=count,
            rate=rate,
            lost=self._lost,
            timeout_s=count // rate + 90,
            options=["-d", str(talk_ms), *options],
        ) as calling:
            return calling.result()

    def _address(self) -> str:
        places = self.server.places
        return places[self._transport.upper()].address

    def cpu_s(self) -> float:
        """Seconds of CPU that all processes of the server have used."""
        return cpu_s(self.server.pids())

    def resident_bytes(self) -> int:
        """Resident memory of node and recorder."""
        return resident_bytes([self.server.child("node"), self.server.child("recorder")])


def oneproxy(folder: Path) -> Server:
    """OneProxy with all users, and no password asked for."""
    return Server(folder, subscribers=dict.fromkeys(USERS, "secret"), transports=["TCP"])
