"""OneProxy itself, run as an operator runs it, and what /proc tells about it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from system.agents.place import Place, free_place
from system.wire import Client, free_port
from waiting import PATIENCE_S

DOMAIN: Final = "oneproxy.test"
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """The pids of all processes below `pid`, without it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(int(entry.parent.name))
        # A zombie is nobody: it only waits to be collected.
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the state on; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie does not)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, that the processes have used."""
    return sum(int(fields[11]) + int(fields[12]) for fields in map(_stat, pids) if fields) / _TICKS_PER_S


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of the processes, pages that they share counted for each."""
    return sum(int(fields[21]) * _PAGE_BYTES for fields in map(_stat, pids) if fields)


@dataclass(frozen=True)
class Credentials:
    """The files of a listener with TLS; client_ca: "" where no client certificate is asked for."""

    certificate: str
    key: str
    client_ca: str = ""


def _listen(place: Place, credentials: Credentials | None) -> list[str]:
    """The [[listen]] of one place."""
    lines = ["[[listen]]", f'transport = "{place.transport.lower()}"', f'address = "{place.address}"']
    if place.transport in ("TLS", "WSS"):
        assert credentials is not None
        lines += [f'certificate = "{credentials.certificate}"', f'key = "{credentials.key}"']
        lines += [f'client_ca = "{credentials.client_ca}"'] if credentials.client_ca else []
    return lines


def configuration(
    address: str,
    *,
    database: str,
    subscribers: dict[str, str],
    authenticate: Sequence[str] = (),
    algorithms: Sequence[str] = (),
    domain: str = DOMAIN,
    listen: Iterable[Place] = (),
    credentials: Credentials | None = None,
    more: str = "",
) -> str:
    """A configuration file. subscribers: user name to password; authenticate: methods.

    algorithms: of the digest; none for what OneProxy takes by itself. listen: where it listens
    besides UDP at `address`. more: further sections, as they are written.
    """
    lines = [
        "[node]",
        'name = "tested"',
        "[[listen]]",
        'transport = "udp"',
        f'address = "{address}"',
        *(line for place in listen for line in _listen(place, credentials)),
        more,
        "[database]",
        f'proxy = "{database}"',
        "[[domain]]",
        f'name = "{domain}"',
        f"authenticate = {_list(authenticate)}",
        *([f"algorithms = {_list(algorithms)}"] if algorithms else []),
    ]
    for user, password in subscribers.items():
        lines += ["[[subscriber]]", f'aor = "{user}@{domain}"', f'password = "{password}"']
    return "\n".join(lines) + "\n"


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _place(transport: str, host: str) -> Place:
    return free_place("UDP", "::1") if transport == "UDP6" else free_place(transport, host)


class Server:
    """`oneproxy run` in a process group of its own, started and stopped as often as wanted.

    prefix goes before the command (`Network.prefix`); probe is the socket that asks it
    whether it answers, which has to be made in the same network. transports: what it speaks
    besides UDP on IPv4, at ports of their own; "UDP6" is UDP on IPv6. listen: where it listens
    besides. more: further sections of its configuration. database: SQLite in `folder` if left out.
    options: further ones of the command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        subscribers: dict[str, str],
        authenticate: Sequence[str] = (),
        algorithms: Sequence[str] = (),
        domain: str = DOMAIN,
        host: str = "127.0.0.1",
        port: int | None = None,
        prefix: Sequence[str] = (),
        probe: socket.socket | None = None,
        transports: Sequence[str] = (),
        listen: Sequence[Place] = (),
        credentials: Credentials | None = None,
        more: str = "",
        database: str = "",
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.host = host
        self._probe = probe or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = port or free_port(host)
        #: Where it listens, by the names of `transports`, and "UDP".
        self.places = {name: _place(name, host) for name in transports}
        self.places |= {place.transport: place for place in listen}
        self.config = folder / "oneproxy.toml"
        self.config.write_text(
            configuration(
                self.address,
                database=database or f"sqlite:///{folder}/oneproxy.db",
                subscribers=subscribers,
                authenticate=authenticate,
                algorithms=algorithms,
                domain=domain,
                listen=self.places.values(),
                credentials=credentials,
                more=more,
            )
        )
        self.places["UDP"] = Place("UDP", host, self.port)
        self._prefix = list(prefix)
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens: "host:port"."""
        return f"{self.host}:{self.port}"

    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", "oneproxy", "run", "--config", str(self.config), *self._options]

    def start(self, within_s: float = PATIENCE_S) -> None:
        """Start it and wait until it answers OPTIONS."""
        self.launch()
        self.wait_until_answering(within_s)

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_answering(self, within_s: float = PATIENCE_S) -> float:
        """Ask by OPTIONS until a 200 comes; returns the seconds that it took."""
        began = time.monotonic()
        client = Client(self.host, self.port, self._probe)
        while time.monotonic() < began + within_s:
            if self._process is not None and self._process.poll() is not None:
                break
            if client.alive(0.1):
                return time.monotonic() - began
        raise TimeoutError(f"{self.address} does not answer OPTIONS: {self.log()}")

    def log(self) -> str:
        """The end of what it wrote to standard output and error, all starts together."""
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None
        return self._process.pid

    def pids(self) -> list[int]:
        """All of its processes."""
        return [self.pid, *descendants(self.pid)]

    def child(self, module: str) -> int:
        """The pid of the child that runs `oneproxy.<module>`."""
        for pid in descendants(self.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if f"oneproxy.{module}".encode() in command:
                return pid
        raise LookupError(f"no {module} among {descendants(self.pid)}: {self.log()}")

    def stop(self, within_s: float = PATIENCE_S) -> int:
        """SIGTERM, and the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended(within_s)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait until the supervisor has ended; its exit status."""
        assert self._process is not None
        return self._process.wait(within_s)

    def kill_all(self) -> None:
        """SIGKILL to every process at once, as a crash of the machine would look to them."""
        assert self._process is not None
        below = descendants(self.pid)
        os.killpg(self.pid, signal.SIGKILL)
        for pid in below:
            _kill(pid)
        self._process.wait()
        wait_until_gone(below)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, whatever state it is in, and leave no process behind."""
        self._probe.close()
        if self._process is None:
            return
        below = descendants(self.pid)
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
        # Nobody is left after an orderly end; after another one there may be.
        for pid in [self.pid, *below]:
            _kill(pid)
        self._process.wait()


def _kill(pid: int) -> None:
    if alive(pid):
        os.kill(pid, signal.SIGKILL)


def wait_until_gone(pids: Iterable[int], within_s: float = PATIENCE_S) -> float:
    """Wait until none of the processes runs; returns the seconds that it took."""
    began = time.monotonic()
    left = list(pids)
    while left := [pid for pid in left if alive(pid)]:
        if time.monotonic() > began + within_s:
            raise TimeoutError(f"still running: {left}")
        time.sleep(0.01)
    return time.monotonic() - began
