"""The flood guard: who asks for too much, and who guesses passwords.

A source that passes a limit is banned for a time. An account that somebody guesses at is closed,
for that time, to all sources but those that proved its password lately: guessing shuts out no
rightful owner. Gateways are never banned, and where somebody is trusted only others are.

The source of a datagram can be forged, so what is said by somebody who has not shown that he gets
our answers bans nobody who has: see `Guard.believes`.
"""

from collections.abc import Callable, Container, Iterable
from typing import Final

from oneproxy.access import causes
from oneproxy.access.bans import ACCOUNT, SOURCE, Ban, Bans
from oneproxy.access.good import Good
from oneproxy.access.sources import source_of, source_of_binding
from oneproxy.access.window import Window
from oneproxy.site.model import Flood

#: Entries of each table of counts.
CAPACITY: Final = 200_000
#: Bans that are looked at in one step after the site has changed.
NARROWED: Final = 256

#: Why somebody is banned, as people are told it.
REQUESTS: Final = "requests"
WRONG_PASSWORDS: Final = "wrong passwords"

#: The wrong passwords of users that do not exist are counted as those of one, at the same cost.
_NOBODY: Final = ""


#: Where the phones of an account registered from, as bindings have it ("udp:192.0.2.7:5060"), at a
#: time in seconds since the epoch.
Registered = Callable[[str, float], list[str]]


class Guard:
    """Counts, bans, and remembers who was good. Bans and that memory outlive the site."""

    __slots__ = (
        "_account_requests",
        "_account_wrong",
        "_flood",
        "_gateways",
        "_good",
        "_narrowed_to",
        "_requests",
        "_spares",
        "_wrong",
        "bans",
        "registered",
    )

    def __init__(
        self, flood: Flood, spares: Callable[[str], bool], bans: Bans, gateways: Container[str] = ()
    ) -> None:
        """spares: whether somebody at an address is trusted. gateways: their addresses, live."""
        self.bans = bans
        self._gateways = gateways
        self._good = Good()
        #: A node that starts knows by it where owners were before.
        self.registered: Registered = _nowhere
        self._set_windows(flood.window_s)
        self.take(flood, spares)

    def take(self, flood: Flood, spares: Callable[[str], bool]) -> None:
        """These are the limits, and the trusted addresses, from now on."""
        if self._requests.window_s != flood.window_s:
            self._set_windows(flood.window_s)
        self._flood = flood
        self._spares = spares
        self._narrowed_to = ""
        self.narrow()

    def narrow(self) -> bool:
        """Let transport take again from banned sources where somebody is trusted by now; some of them.

        Whether there are more: a step looks at NARROWED of them, which takes a millisecond.
        """
        page = self.bans.page(self._narrowed_to, NARROWED)
        for ban in page:
            if ban.kind == SOURCE and self.is_shared(ban.name.removesuffix("/64")):
                self.bans.narrow(ban.name)
        if page:
            self._narrowed_to = page[-1].name
        return len(page) == NARROWED

    def admit(self, host: str, now: float) -> str:
        """Count a request of somebody who is not trusted; "" or why it is refused."""
        bans = self.bans
        if len(bans):
            bans.expire(now)
            if bans.find(source_of(host), now) is not None:
                return causes.BANNED
        limit = self._flood.requests
        if limit and host not in self._gateways:
            source = source_of(host)
            if self._requests.add(source, now) > limit:
                self._ban(source, host, REQUESTS, now)
                return causes.FLOOD
        return ""

    def foresee(self, host: str, now: float) -> str:
        """What `admit` would say of one more request, which is not counted."""
        source = source_of(host)
        if self.bans.find(source, now) is not None:
            return causes.BANNED
        limit = self._flood.requests
        is_counted = limit and host not in self._gateways
        return causes.FLOOD if is_counted and self._requests.count(source, now) + 1 > limit else ""

    def admit_account(self, aor: str, now: float) -> str:
        """Count a request of an account that was proved; "" or why it is refused."""
        ban = self.bans.find(aor, now)
        if ban is not None and ban.why != WRONG_PASSWORDS:
            return causes.BANNED
        limit = self._flood.account_requests
        if limit and self._account_requests.add(aor, now) > limit:
            self._close(aor, REQUESTS, now)
            return causes.FLOOD
        return ""

    def foresee_account(self, aor: str, now: float) -> str:
        """What `admit_account` would say of one more request, which is not counted."""
        ban = self.bans.find(aor, now)
        if ban is not None and ban.why != WRONG_PASSWORDS:
            return causes.BANNED
        limit = self._flood.account_requests
        return causes.FLOOD if limit and self._account_requests.count(aor, now) + 1 > limit else ""

    def believes(self, source: str) -> bool:
        """Whether a proof on a nonce that was made for nobody, or another, counts for `source`.

        Where phones are at home it does not: it is neither tried nor held against them, since
        anybody can send it in their name; they are given a nonce of their own.
        """
        return not self._good.proved_any(source)

    def is_closed(self, aor: str, source: str, now: float) -> bool:
        """Whether the password of `aor` is not taken from this source at present."""
        if self.bans.find(aor, now) is None or self._good.proved(source, aor):
            return False
        return source not in map(source_of_binding, self.registered(aor, now))

    def note_right(self, source: str, aor: str, now: float) -> None:
        """The password of `aor` was proved."""
        self._good.note(source, aor, now)

    def recall(self, sources: Iterable[str]) -> None:
        """Phones are registered from these, and took their passwords to do so."""
        self._good.recall(sources)

    def note_wrong(self, host: str, source: str, aor: str, now: float) -> None:
        """Somebody guessed. aor: "" where there is no such account."""
        flood = self._flood
        limit = flood.account_wrong_passwords
        if limit and self._account_wrong.add(aor or _NOBODY, now) >= limit and aor:
            self._close(aor, WRONG_PASSWORDS, now)
        limit = flood.wrong_passwords
        if limit and host not in self._gateways and self._wrong.add(source, now) >= limit:
            self._ban(source, host, WRONG_PASSWORDS, now)

    def _set_windows(self, window_s: float) -> None:
        self._requests = Window(window_s, CAPACITY)
        self._wrong = Window(window_s, CAPACITY)
        self._account_requests = Window(window_s, CAPACITY)
        self._account_wrong = Window(window_s, CAPACITY)

    def is_shared(self, host: str) -> bool:
        """Whether a source has somebody in it who may never be kept out."""
        return host in self._gateways or self._spares(host)

    def _ban(self, source: str, host: str, why: str, now: float) -> None:
        ban = Ban(SOURCE, source, now, now + self._flood.ban_s, why)
        self.bans.add(ban, everywhere=not self.is_shared(host))

    def _close(self, aor: str, why: str, now: float) -> None:
        before = self.bans.find(aor, now)
        if before is None or before.why == WRONG_PASSWORDS != why:
            self.bans.add(Ban(ACCOUNT, aor, now, now + self._flood.ban_s, why), everywhere=False)


def _nowhere(_aor: str, _now: float) -> list[str]:
    """Nobody has registered."""
    return []
