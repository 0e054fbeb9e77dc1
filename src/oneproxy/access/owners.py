"""Which addresses-of-record a subscriber may call and register as, besides its own."""

from collections.abc import Callable, Mapping

from oneproxy.site.model import Subscriber


class Owners:
    """Aliases, and what `may_use` of each subscriber lets it use."""

    __slots__ = ("_aliases", "_on_wire", "_subscribers", "_usable")

    def __init__(
        self,
        subscribers: Mapping[str, Subscriber],
        aliases: Mapping[str, str],
        on_wire: Callable[[str], str],
    ) -> None:
        """subscribers: by AoR, as requests name it; aliases: from one such AoR to that of its owner.

        Both are live. on_wire: gives an AoR of the site the form in which requests name it.
        """
        self._subscribers = subscribers
        self._aliases = aliases
        self._on_wire = on_wire
        #: By the AoR of who may, made when first asked for.
        self._usable: dict[str, frozenset[str]] = {}

    def take(self) -> None:
        """The site has changed."""
        self._usable.clear()

    def may_use(self, aor: str, claimed: str) -> bool:
        """Whether the subscriber `aor` may be `claimed`, both as requests name them."""
        if claimed == aor:
            return True
        owner = self._aliases.get(claimed, claimed)
        if owner == aor:
            return True
        usable = self._usable.get(aor)
        if usable is None:
            subscriber = self._subscribers.get(aor)
            written = () if subscriber is None else subscriber.may_use
            named = [self._on_wire(one) for one in written]
            # What a request claims is an owner's name by now, so an alias there stands for its owner.
            usable = self._usable[aor] = frozenset([self._aliases.get(one, one) for one in named])
        if not usable:
            return False
        return owner in usable or f"*@{claimed.rpartition('@')[2]}" in usable
