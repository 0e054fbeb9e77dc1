"""Names of next hops to addresses, off the path of messages.

A message never waits for a name server, and neither do the messages behind it: only
what goes to a name that is not in the cache waits for that name's answer.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

_LIFETIME_S: Final = 30.0
_NAMES: Final = 4096
#: Names being asked for at once, and messages that wait for one of them.
_ASKED: Final = 64
_WAITING: Final = 256

Address = tuple[object, ...]
Answer = Callable[[Address | None], None]


class Resolver:
    """A cache of addresses over the system's resolver."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, bool], tuple[float, str | None]] = {}
        self._waiting: dict[tuple[str, bool], list[tuple[int, Answer]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def resolve(self, now: float, host: str, port: int, ipv6: bool, answer: Answer) -> bool:
        """Call `answer` with the socket address of `host`, or with None if it has none.

        At once where the cache knows, else later; in the order of asking. False where
        too many wait already: then `answer` is not called.
        """
        name = (host, ipv6)
        waiting = self._waiting.get(name)
        if waiting is not None:
            if len(waiting) >= _WAITING:
                return False
            waiting.append((port, answer))
            return True
        known = self._cache.get(name)
        if known is not None and known[0] > now:
            answer(_address(known[1], port, ipv6))
            return True
        if len(self._waiting) >= _ASKED:
            return False
        self._waiting[name] = [(port, answer)]
        task = asyncio.get_running_loop().create_task(self._ask(now, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _ask(self, now: float, name: tuple[str, bool]) -> None:
        host, ipv6 = name
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        found: str | None = None
        try:
            loop = asyncio.get_running_loop()
            addresses = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_DGRAM)
            found = str(addresses[0][4][0]) if addresses else None
        except (OSError, ValueError):  # UnicodeError is one: a label that is too long
            found = None
        if len(self._cache) >= _NAMES:
            self._cache.clear()
        self._cache[name] = (now + _LIFETIME_S, found)
        for port, answer in self._waiting.pop(name):
            answer(_address(found, port, ipv6))


def _address(host: str | None, port: int, ipv6: bool) -> Address | None:
    if host is None:
        return None
    return (host, port, 0, 0) if ipv6 else (host, port)
