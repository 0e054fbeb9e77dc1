"""All registrations of the site's gateways: begun, kept up and taken back as the site says.

    new in the site         begun, spread over some seconds where many are new
    another AoR, gateway    the old one is taken back, then the new one begins, or after 4 s where
    or contact              that is not answered
    another password, time  goes on, and what was refused is tried again at once
    gone from the site      taken back
    the node ends           nothing: a restart must not cost the calls that come to us meanwhile, so the
                            registrar keeps what it has; Call-ID and CSeq of the next start go on from
                            there (RFC 3261 10.2)

Sans-IO: requests leave by `originate`, and whoever owns the clock calls `expire` at `deadline`.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from hashlib import blake2b
from operator import is_
from random import Random
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import parse_uri
from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.due import Due
from oneproxy.trunks.registration import Account, Register, Registration, Standing
from oneproxy.trunks.registration_states import State
from oneproxy.trunks.trunks import Trunks

#: Those that are begun or taken back together are so one after the other, on average so far apart,
#: but all of them within the bound: a thousand accounts at one carrier are fifty a second.
APART_S: Final = 0.05
LONGEST_SPREAD_S: Final = 20.0
#: How long a new registration waits for the old one of its gateway to be taken back: that is one round
#: trip or two, or for ever where the gateway is gone.
GIVE_WAY_S: Final = 4.0
_CALL_ID: Final = 16  # octets

#: A provider and a gateway of it.
Key = tuple[str, str]
#: Sends a request of our own: the engine's.
Originate = Callable[[float, OwnRequest, Answered], None]
#: The URI of a user here as a gateway, by its URI, shall call it: where we listen for the transport that
#: leads there. user: "" for a URI without one.
ContactOf = Callable[[str, str], str]


class Listed(NamedTuple):
    """One registration for people. aor: as requests have it."""

    provider: str
    gateway: str
    aor: str
    standing: Standing


class _Next(Enum):
    """What is done with a registration when it is due."""

    BEGIN = auto()
    GO_ON = auto()
    STOP = auto()


class _Line:
    """A registration, of the gateway that it is for; it is told from others by its identity."""

    __slots__ = ("aor", "contact", "key", "next", "registration", "spread_s", "told")

    def __init__(self, key: Key, account: Account, registration: Registration, spread_s: float) -> None:
        self.key = key
        self.aor = account.aor
        self.contact = account.contact
        self.registration = registration
        self.next = _Next.BEGIN
        #: Within which time it begins.
        self.spread_s = spread_s
        #: What was said of it last: whether it was good, status and error.
        self.told: tuple[bool, int, str] | None = None


class Registrations:
    """Those of one node. It is told of a site after `Trunks`, whose gateways learn whether they are
    registered at.

    on_told: told, with provider and gateway, how a registration stands when that has become another
    thing than it was at the last answer: for the log.
    """

    __slots__ = (
        "_contact_of",
        "_due",
        "_hash",
        "_leaving",
        "_lines",
        "_originate",
        "_providers",
        "_random",
        "_trunks",
        "on_told",
    )

    def __init__(
        self,
        node: str,
        secret: bytes,
        trunks: Trunks,
        originate: Originate,
        contact_of: ContactOf,
        random: Random,
    ) -> None:
        """node: its name. secret: the farm's. A Call-ID is made of both, the gateway's name and the AoR: it
        is the same at each start, and nobody can guess it."""
        key = HKDF(SHA256(), 32, salt=None, info=b"oneproxy registration call-id").derive(secret)
        self._hash = blake2b(node.encode() + b"\n", key=key, digest_size=_CALL_ID)
        self._trunks = trunks
        self._originate = originate
        self._contact_of = contact_of
        self._random = random
        self.on_told: Callable[[str, str, Standing], None] | None = None
        self._due: Due[_Line] = Due()
        #: The providers that were looked at last: most changes of a site are of other entries.
        self._providers: list[Provider] = []
        #: Those of the site; and, by the same keys, those that are being taken back.
        self._lines: dict[Key, _Line] = {}
        self._leaving: dict[Key, list[_Line]] = {}

    @property
    def on_sooner(self) -> Callable[[], None] | None:
        """Called when `deadline` has become sooner, as it does by an answer."""
        return self._due.on_sooner

    @on_sooner.setter
    def on_sooner(self, tell: Callable[[], None] | None) -> None:
        self._due.on_sooner = tell

    # The site.

    def take(self, now: float, site: Site) -> None:
        """The site has changed: be registered by this one from now on. It sends nothing itself."""
        before, self._providers = self._providers, list(site.providers.values())
        if len(before) == len(self._providers) and all(map(is_, before, self._providers)):
            return
        wanted = {
            (provider.name, gateway.name): account
            for provider in site.providers.values()
            for gateway in provider.gateway
            if (account := self._account(gateway)) is not None
        }
        over = [self._lines.pop(key) for key in [one for one in self._lines if one not in wanted]]
        new: list[tuple[Key, Account]] = []
        for key, account in wanted.items():
            line = self._lines.get(key)
            if line is None:
                new.append((key, account))
            elif not line.registration.take(now, account):
                over.append(self._lines.pop(key))
                new.append((key, account))
            elif line.next is _Next.GO_ON:
                self._due.set(line, line.registration.deadline())
        for line in over:
            self._leave(now, line, _spread_s(len(over)))
        for key, account in new:
            self._add(now, key, account, _spread_s(len(new)))
        for line in self._lines.values():
            # What a gateway knows of it may be of before: it may be another one, or need it only now.
            self._mark(line)

    def _account(self, gateway: Gateway) -> Account | None:
        register = gateway.register
        if register is None:
            return None
        aor = _ascii(register.aor)
        uri = parse_uri(aor)
        user = "" if isinstance(uri, Malformed) else uri.user or ""
        contact = self._contact_of(gateway.uri, user)
        return Account(aor, gateway.uri, contact, register.username, register.password, register.expires_s)

    def _add(self, now: float, key: Key, account: Account, spread_s: float) -> None:
        leaving = self._leaving.get(key, [])
        line = next((one for one in leaving if one.registration.take(now, account)), None)
        if line is None:
            registration = Registration(account, self._call_id(key, account), self._random)
            line = _Line(key, account, registration, spread_s)
            # With others before it, it waits until they are taken back: a registrar may have room for
            # one contact only, and what takes back an old one must not come after the new one.
            if not leaving:
                self._due.set(line, now)
            elif all(one.next is _Next.GO_ON for one in leaving):
                self._due.set(line, now + GIVE_WAY_S)
        else:
            self._come_back(now, line)
        self._lines[key] = line

    def _come_back(self, now: float, line: _Line) -> None:
        """It was to be taken back, and is wanted again."""
        self._leaving[line.key].remove(line)
        if line.next is _Next.GO_ON:
            line.registration.start(now)
        line.next = _Next.GO_ON
        self._due.set(line, line.registration.deadline())

    def _leave(self, now: float, line: _Line, spread_s: float) -> None:
        if line.next is _Next.BEGIN:
            self._due.set(line, None)
            return
        self._leaving.setdefault(line.key, []).append(line)
        line.next = _Next.STOP
        self._due.set(line, now + self._random.random() * spread_s)

    def _call_id(self, key: Key, account: Account) -> str:
        own = self._hash.copy()
        own.update("\n".join((*key, account.aor)).encode())
        return own.hexdigest()

    # Time, and answers.

    def deadline(self) -> float | None:
        """When `expire` is wanted next."""
        return self._due.deadline()

    def expire(self, now: float) -> None:
        """Send what is due."""
        while (line := self._due.pop(now)) is not None:
            match line.next:
                case _Next.BEGIN:
                    self._begin(now, line)
                case _Next.GO_ON:
                    self._send(now, line, line.registration.expire(now))
                case _Next.STOP:
                    line.next = _Next.GO_ON
                    follower = self._lines.get(line.key)
                    if follower is not None and follower.next is _Next.BEGIN:
                        self._due.set(follower, now + GIVE_WAY_S)
                    self._send(now, line, line.registration.stop(now))

    def _begin(self, now: float, line: _Line) -> None:
        """It has waited for its time, or for others before it, and not all of these may have answered.

        One that bound the same contact is not heard of any more: were it asked for a password now, it
        would take back, with a CSeq that is later yet, what the new one binds.
        """
        leaving = self._leaving.pop(line.key, [])
        others = [one for one in leaving if (one.aor, one.contact) != (line.aor, line.contact)]
        if others:
            self._leaving[line.key] = others
        line.next = _Next.GO_ON
        line.registration.start(now, line.spread_s)
        self._due.set(line, line.registration.deadline())

    def _send(self, now: float, line: _Line, register: Register | None) -> None:
        """Send it, if there is something, and see where the registration stands now."""
        if register is not None:
            uri, towards, from_, to, call_id, cseq, headers = register
            request = OwnRequest("REGISTER", uri, towards, from_, to, call_id, cseq, headers, (), "", 70, "")
            self._originate(now, request, partial(self._answered, line))
        if line.next is _Next.GO_ON:
            self._due.set(line, line.registration.deadline())
        if self._lines.get(line.key) is line:
            self._mark(line)
        elif line.registration.state is State.STOPPED:
            self._gone(now, line)

    def _answered(self, line: _Line, now: float, result: Result) -> None:
        """What came of a request; of one whose registration was replaced, it is the old one's."""
        if self._lines.get(line.key) is not line and line not in self._leaving.get(line.key, ()):
            return
        self._send(now, line, line.registration.answered(now, result))
        if self.on_told is not None and self._lines.get(line.key) is line:
            self._tell(line, self.on_told)

    def _gone(self, now: float, line: _Line) -> None:
        """It is taken back: who waited for that begins."""
        leaving = self._leaving.get(line.key, [])
        if line not in leaving:
            return
        leaving.remove(line)
        if leaving:
            return
        del self._leaving[line.key]
        follower = self._lines.get(line.key)
        if follower is not None and follower.next is _Next.BEGIN:
            self._due.set(follower, now)

    def _mark(self, line: _Line) -> None:
        """Tell the gateway, which is asked for each call, until when we are registered there."""
        provider = self._trunks.find(line.key[0])
        gateway = None if provider is None else provider.find(line.key[1])
        if gateway is not None:
            gateway.registered(line.registration.expires_at)

    def _tell(self, line: _Line, on_told: Callable[[str, str, Standing], None]) -> None:
        standing = line.registration.standing()
        if standing.state is not State.REGISTERED and standing.state is not State.WAITING:
            # It is being asked for something on the way.
            return
        told = standing.state is State.REGISTERED, standing.status, standing.error
        if told != line.told:
            line.told = told
            on_told(*line.key, standing)

    # What people and other parts see.

    def is_registered(self, now: float, provider: str, gateway: str) -> bool:
        """Whether the registrar of this gateway knows us."""
        line = self._lines.get((provider, gateway))
        return line is not None and line.registration.is_registered(now)

    def standings(self) -> list[Listed]:
        """Those of the site, by provider and gateway."""
        return [
            Listed(*line.key, line.aor, line.registration.standing())
            for _, line in sorted(self._lines.items(), key=lambda item: item[0])
        ]


def _spread_s(count: int) -> float:
    """Within which time so many are begun; one alone is at once."""
    return min((count - 1) * APART_S, LONGEST_SPREAD_S)


def _ascii(uri: str) -> str:
    """A URI that people wrote, with what may stand in none escaped: its octets of UTF-8 (RFC 3261 19.1.2)."""
    return "".join(chr(one) if 0x20 < one < 0x7F else f"%{one:02X}" for one in uri.encode())
