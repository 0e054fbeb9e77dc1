"""Who proved a password lately: the last sources of each account, and all such sources.

Two tables of each: the one before goes when the present one is old, or full.
"""

from collections.abc import Iterable
from typing import Final

#: Sources that are remembered for an account.
SOURCES: Final = 4
#: For how long at least, and at most twice as long; phones register more often.
LATELY_S: Final = 86_400.0
#: Entries of a table, of which there are four.
CAPACITY: Final = 200_000

_Accounts = dict[str, tuple[str, ...]]


class Good:
    """The memory of a node. Only who knows a password gets into it."""

    __slots__ = ("_accounts", "_accounts_before", "_began", "_capacity", "_sources", "_sources_before")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        #: By AoR, the source that was last seen in front.
        self._accounts: _Accounts = {}
        self._accounts_before: _Accounts = {}
        self._sources: set[str] = set()
        self._sources_before: set[str] = set()
        self._began = 0.0

    def note(self, source: str, aor: str, now: float) -> None:
        """The password of `aor` was proved from this source."""
        known = self._accounts.get(aor)
        if known is not None and known[0] == source and now < self._began + LATELY_S:
            # So it is with nearly everybody.
            return
        if (
            now >= self._began + LATELY_S
            or len(self._accounts) >= self._capacity
            or len(self._sources) >= self._capacity
        ):
            self._turn(now)
            known = None
        others = [one for one in known or () if one != source]
        self._accounts[aor] = (source, *others[: SOURCES - 1])
        self._sources.add(source)

    def recall(self, sources: Iterable[str]) -> None:
        """Passwords were proved from these, to a node before this one or beside it.

        As many as there is room for: what this node sees itself counts more.
        """
        known = self._sources
        for source in sources:
            if len(known) >= self._capacity:
                return
            known.add(source)

    def proved(self, source: str, aor: str) -> bool:
        """Whether the password of `aor` was proved from this source."""
        return source in self._accounts.get(aor, ()) or source in self._accounts_before.get(aor, ())

    def proved_any(self, source: str) -> bool:
        """Whether any password was."""
        return source in self._sources or source in self._sources_before

    def _turn(self, now: float) -> None:
        self._accounts_before, self._accounts = self._accounts, {}
        self._sources_before, self._sources = self._sources, set()
        self._began = now
