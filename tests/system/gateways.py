"""SIPp gateways of one provider, each at an address of its own, what they do to calls, and what they log."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from system.sipp import Sipp

#: An instant that no test lives to see, in seconds since the epoch.
NEVER: Final = 10**10
#: Whoever sends from a gateway's address is that gateway: callers are elsewhere.
CALLER_HOST: Final = "127.0.0.1"
TRUST: Final = f'[[access]]\nsource = "{CALLER_HOST}"\naction = "trust"\n'


class Noted(NamedTuple):
    """A line of a log. at: seconds since the epoch. of: the number that was called, or who took the call."""

    what: str
    at: float
    of: str


def read_log(path: Path) -> list[Noted]:
    """The lines of a log of the scenarios "gateway" and "routed"; none where there was no event yet."""
    if not path.exists():
        return []
    noted = []
    # A process that was killed may have left half a line.
    for line in path.read_text().splitlines(keepends=True):
        fields = line.rstrip("\n").split(";")
        if line.endswith("\n") and len(fields) == 4:
            what, seconds, microseconds, of = fields
            noted.append(Noted(what, float(seconds) + float(microseconds) / 1e6, of))
    return noted


class Gateways(contextlib.ExitStack):
    """Gateways "g1" at 127.0.0.2, "g2" at 127.0.0.3 and so on, that run for as long as this is open.

    slow_from, failing_from: by number, from when on one is slow, or answers 503 to every other call.
    """

    def __init__(
        self,
        count: int,
        folder: Path,
        slow_from: dict[int, int] | None = None,
        failing_from: dict[int, int] | None = None,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._count = count
        self._slow_from = slow_from or {}
        self._failing_from = failing_from or {}
        self.all: list[Sipp] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            for number in range(1, self._count + 1):
                variables = {
                    "slow_from": self._slow_from.get(number, NEVER),
                    "failing_from": self._failing_from.get(number, NEVER),
                }
                gateway = Sipp("gateway", self._folder, host=f"127.0.0.{number + 1}", variables=variables)
                self.all.append(starting.enter_context(gateway))
            self.push(starting.pop_all())
        return self

    def provider(self, name: str, keys: Sequence[str] = ()) -> str:
        """The [[provider]] that has all of them. keys: more lines of it."""
        lines = ["[[provider]]", f'name = "{name}"', *keys]
        for number, gateway in enumerate(self.all, 1):
            lines += ["[[provider.gateway]]", f'name = "g{number}"', f'uri = "sip:{gateway.address}"']
        return "\n".join(lines) + "\n"

    def invites(self, number: int) -> list[Noted]:
        """The calls that a gateway has got so far."""
        return [one for one in read_log(self.all[number - 1].log) if one.what == "INVITE"]

    def refused(self, number: int) -> list[Noted]:
        """Those that it has answered with 503."""
        return [one for one in read_log(self.all[number - 1].log) if one.what == "503"]
