"""The location as a mirror of the database, and who waits until it shows what they ask for.

While bindings are being loaded, a request for an address-of-record whose page has not
come waits until the recorder has been asked for that one. What the recorder tells is
taken in the order in which it comes.
"""

from collections.abc import Callable, Sequence
from typing import Final

from oneproxy.engine.decisions import PENDING, Ask, Decision
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location

#: Requests that may wait for bindings, in all and for one AoR.
MAX_ASKS: Final = 10_000
MAX_ASKS_OF_ONE: Final = 16

#: Has the recorder asked for the bindings of an AoR; False where it can't be.
Fetch = Callable[[str], bool]
#: Decides on an ask that has waited. The bool: whether the bindings of its AoR are known.
Decide = Callable[[Ask, bool], Decision]


class Mirror:
    """What is told goes into `location`; what waits for it is decided."""

    __slots__ = ("_answer", "_asks", "_fetch", "_location", "_waiting", "on_loaded", "on_told", "resend")

    def __init__(self, location: Location, fetch: Fetch, answer: Callable[[Ask, Decision], None]) -> None:
        """answer: hands in the decision on an ask that was PENDING."""
        self._location = location
        self._fetch = fetch
        self._answer = answer
        self._waiting: dict[str, list[tuple[Ask, Decide]]] = {}
        self._asks = 0
        #: The registrar's: sends again what was not stored, and what could not be sent.
        self.resend: Callable[[], None] = _nothing
        #: Called when the last page has come.
        self.on_loaded: Callable[[], None] = _nothing
        #: Told of the bindings that come, whichever way.
        self.on_told: Callable[[Sequence[tuple[str, Binding]]], None] = _ignore

    def wait(self, aor: str, ask: Ask, decide: Decide) -> bool:
        """Have `decide` called when the bindings of `aor` are known, or can't be; False: no room."""
        waiting = self._waiting.get(aor)
        if self._asks >= MAX_ASKS or (waiting is not None and len(waiting) >= MAX_ASKS_OF_ONE):
            return False
        if waiting is None:
            if not self._fetch(aor):
                return False
            waiting = self._waiting[aor] = []
        waiting.append((ask, decide))
        self._asks += 1
        return True

    def begin(self) -> None:
        """All bindings are going to come, page by page."""
        self._location.begin()

    def page(self, bindings: Sequence[tuple[str, Binding]], last: bool) -> None:
        """The next page came."""
        self._location.load(bindings, last)
        self.on_told(bindings)
        if last:
            self.on_loaded()
            self.room()

    def fetched(self, aors: Sequence[str], bindings: Sequence[tuple[str, Binding]]) -> None:
        """The bindings of `aors` came."""
        self._location.fetched(aors, bindings)
        self.on_told(bindings)
        self._tell(aors, True)

    def not_fetched(self, aors: Sequence[str]) -> None:
        """The bindings of `aors` can't be read."""
        self._tell(aors, False)

    def changed(self, changes: Sequence[Change]) -> None:
        """Somebody else committed `changes`."""
        for change in changes:
            self._location.changed(change)
        self.on_told([(change.aor, binding) for change in changes for binding in change.stored])

    def room(self) -> None:
        """What could not be stored before may be stored now."""
        self.resend()

    def _tell(self, aors: Sequence[str], known: bool) -> None:
        for aor in aors:
            for ask, decide in self._waiting.pop(aor, ()):
                self._asks -= 1
                if ask.answered:
                    # It was told 503 while it waited, or its caller gave up.
                    continue
                decision = decide(ask, known)
                if decision is not PENDING:
                    self._answer(ask, decision)


def _nothing() -> None:
    pass


def _ignore(_bindings: Sequence[tuple[str, Binding]]) -> None:
    pass
