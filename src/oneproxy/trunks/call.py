"""What routing asks about a call: whom it is for, who makes it, where it comes from, and when."""

from typing import Final

_NOBODY: Final[frozenset[str]] = frozenset()


class Call:
    """One call that waits for its route.

    number: whom it is for, in the form "+351912345678" where that is known, else as it was dialled,
    escapes off. domain: the served domain that it is made in, "" for none. caller: the AoR that was
    proved, as requests name it, "" for nobody. calling: the number or user of the caller, escapes
    off. source: the IP address that it came from. sides: "provider" and "provider/gateway" of every
    gateway that is at that address; empty for a call that comes from none. is_user: whether it is
    for somebody who is known here. now: seconds since the epoch.
    """

    __slots__ = ("caller", "calling", "domain", "is_user", "now", "number", "sides", "source")

    def __init__(
        self,
        number: str,
        now: float,
        domain: str = "",
        caller: str = "",
        calling: str = "",
        source: str = "",
        sides: frozenset[str] = _NOBODY,
        is_user: bool = False,
    ) -> None:
        self.number = number
        self.now = now
        self.domain = domain
        self.caller = caller
        self.calling = calling
        self.source = source
        self.sides = sides
        self.is_user = is_user
