"""What a node takes from the recorder besides the answers to its changes."""

from typing import Protocol

from oneproxy.registrar.bindings import Binding, Change


class Taker(Protocol):
    """Who takes what the recorder tells, besides the answers to changes."""

    def begin(self) -> None:
        """All bindings are going to come: at first, and after a broken connection."""
        ...

    def page(self, bindings: list[tuple[str, Binding]], last: bool) -> None:
        """The next page."""
        ...

    def fetched(self, aors: list[str], bindings: list[tuple[str, Binding]]) -> None:
        """What was asked for by `Link.fetch`."""
        ...

    def not_fetched(self, aors: list[str]) -> None:
        """It can't be read."""
        ...

    def changed(self, changes: list[Change]) -> None:
        """Somebody else's changes."""
        ...

    def room(self) -> None:
        """What was refused, or whose fate is unknown, may be saved now."""
        ...
