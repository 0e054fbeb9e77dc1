"""SIPp: its runs, and the numbers that come out of them."""

import csv
import itertools
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from system.wire import free_port
from waiting import PATIENCE_S

SCENARIOS: Final = Path(__file__).parent / "scenarios"
_RUNS: Final = itertools.count(1)


@dataclass(frozen=True)
class Result:
    """What became of the calls of a run.

    answer_ms: mean time to the answer, 0 where the scenario takes none. reasons: how many
    failed of what, by SIPp's own words.
    """

    done: int
    failed: int
    retransmissions: int
    answer_ms: float
    errors: str
    reasons: dict[str, int]


def undisturbed(result: Result, calls: int) -> bool:
    """Whether all calls went well, and at most one in four was slow enough to have something sent again.

    RFC 3261 17.1.1.2 has a message sent again after half a second, which on a machine that is
    busy with other things is no fault of ours; where calls wait for something, nearly all are.
    """
    return (result.done, result.failed) == (calls, 0) and result.retransmissions <= calls // 4


def write_users(path: Path, rows: Iterable[str], order: str = "SEQUENTIAL") -> Path:
    """An injection file: a row for each call, its fields ended by semicolons."""
    path.write_text("\n".join([order, *(f"{row};" for row in rows)]) + "\n")
    return path


class Sipp:
    """One run of a scenario, with its own port; a context manager that ends it.

    server: "host:port" for a caller, None for a called party. lost: per cent of the
    datagrams that it drops, in each direction. transport: "udp" or "tcp", on one connection.
    host: its own address. variables: those of the scenario's <Global>.
    """

    def __init__(
        self,
        scenario: str,
        folder: Path,
        *,
        server: str | None = None,
        users: Path | None = None,
        calls: int | None = None,
        rate: int | None = None,
        lost: int = 0,
        timeout_s: int = 180,
        transport: str = "udp",
        host: str = "127.0.0.1",
        variables: Mapping[str, int] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        name = f"{scenario}-{next(_RUNS)}"
        self.host = host
        self.port = free_port(host)
        #: What the <log> actions of the scenario write; there from the first line on.
        self.log = folder / f"{name}.log"
        self._transport = transport
        self._statistics = folder / f"{name}.csv"
        self._errors = folder / f"{name}.errors"
        command = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host, "-p", str(self.port)]
        command += ["-t", "t1" if transport == "tcp" else "u1"]
        command += ["-nostdin", "-trace_stat", "-stf", str(self._statistics), "-fd", "1"]
        command += ["-trace_err", "-error_file", str(self._errors)]
        command += ["-trace_logs", "-log_file", str(self.log)]
        for variable, value in (variables or {}).items():
            command += ["-set", variable, str(value)]
        command += options
        # Without deadcall_wait, a caller lingers for the late answers of its last calls.
        caller = (
            [server, "-timeout", str(timeout_s), "-timeout_error", "-deadcall_wait", "0"] if server else []
        )
        command += caller
        command += ["-inf", str(users)] if users else []
        command += ["-m", str(calls), "-l", str(min(calls, 15_000))] if calls is not None else []
        command += ["-r", str(rate)] if rate is not None else []
        command += ["-lost", str(lost)] if lost else []
        with (folder / f"{name}.screen").open("w") as screen:
            self._process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
            )
        self._patience_s = timeout_s + 10
        if server is None:
            self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        """A caller must not come first: the port is in the kernel's table once it is bound."""
        wanted = f":{self.port:04X} " + ("00000000:0000 0A" if self._transport == "tcp" else "")
        give_up = time.monotonic() + PATIENCE_S
        while wanted not in Path(f"/proc/net/{self._transport}").read_text():
            if time.monotonic() > give_up or self._process.poll() is not None:
                raise TimeoutError(f"SIPp does not listen on {self.port}: {self._error_text()}")
            time.sleep(0.02)

    @property
    def address(self) -> str:
        """Where it is: "host:port"."""
        return f"{self.host}:{self.port}"

    def kill(self) -> None:
        """End it as a crash does: what it was doing stays undone."""
        self._process.kill()
        self._process.wait()

    def result(self) -> Result:
        """Wait until it has ended and read its statistics."""
        self._process.wait(self._patience_s)
        with self._statistics.open() as file:
            row = list(csv.DictReader(file, delimiter=";"))[-1]
        return Result(
            done=int(row["SuccessfulCall(C)"]),
            failed=int(row["FailedCall(C)"]),
            retransmissions=int(row["Retransmissions(C)"]),
            answer_ms=_milliseconds(row.get("ResponseTime1(C)", "0:0:0:0")),
            errors=self._error_text(),
            reasons={
                name.removesuffix("(C)"): int(count)
                for name, count in row.items()
                if name and name.startswith("Failed") and name.endswith("(C)") and int(count)
            },
        )

    def _error_text(self) -> str:
        """Why calls were given up; what else SIPp notes is repetitions that came late."""
        if not self._errors.exists():
            return ""
        lines = self._errors.read_text(errors="replace").splitlines()
        given_up = [line for line in lines if "Aborting" in line or "Error" in line]
        return "\n".join(given_up or lines)[:4000]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()


def _milliseconds(text: str) -> float:
    """SIPp writes a duration as HH:MM:SS:microseconds."""
    hours, minutes, seconds, microseconds = (int(part) for part in text.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + microseconds / 1000
