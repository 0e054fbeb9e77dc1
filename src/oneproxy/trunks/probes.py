"""OPTIONS to gateways: whether they answer, asked as often as the site says.

The first one goes out soon after the start, the others `probe_every_s` apart, a tenth more or less, so
that they do not gather. One is under way at each gateway. What is not answered when the next one is
due, or after 4 s where that is later, was met with silence: a transaction is only given up after 32 s
(RFC 3261 17.1.2.2, Timer F), which is many probes late. An answer that comes after all says nothing.

Sans-IO: requests leave by `originate`, as calls do and from the same sockets, and whoever owns the clock
calls `expire` at `deadline`.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from oneproxy.engine.decisions import Result
from oneproxy.engine.origin import OwnRequest, originated
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Gateway, Site
from oneproxy.trunks.due import Due
from oneproxy.trunks.registrations import ContactOf, Key, Originate
from oneproxy.trunks.trunks import Trunks

#: Within which time after the start each gateway is sent its first one.
FIRST_S: Final = 2.0
#: By how much of the interval it is more or less.
JITTER: Final = 0.1
#: The least that an answer has time for.
PATIENCE_S: Final = 4.0
#: Who asks: the user of From and Contact.
USER: Final = "oneproxy"


class _Probed:
    """One gateway that is probed, until it has another URI or none is wanted any more."""

    __slots__ = ("every_s", "key", "next_at", "number", "sent_at", "under_way", "uri")

    def __init__(self, key: Key, gateway: Gateway) -> None:
        self.key = key
        self.uri = gateway.uri
        self.every_s = gateway.probe_every_s
        #: How many were sent, and the number of the one under way: 0 for none.
        self.number = 0
        self.under_way = 0
        self.sent_at = 0.0
        #: When the next one is to be sent, if the one before is over by then.
        self.next_at = 0.0

    def due_at(self, now: float) -> float:
        """When to look at it: to send the next one, or to give up the one under way and send the next."""
        return max(self.next_at, self.sent_at + PATIENCE_S if self.under_way else now)


class Probes:
    """Those of one node. It is told of a site after `Trunks`, whose providers learn what comes of them."""

    __slots__ = ("_contact_of", "_due", "_originate", "_probed", "_random", "_trunks")

    def __init__(self, trunks: Trunks, originate: Originate, contact_of: ContactOf, random: Random) -> None:
        self._trunks = trunks
        self._originate = originate
        self._contact_of = contact_of
        self._random = random
        self._due: Due[_Probed] = Due()
        self._probed: dict[Key, _Probed] = {}

    @property
    def on_sooner(self) -> Callable[[], None] | None:
        """Called when `deadline` has become sooner."""
        return self._due.on_sooner

    @on_sooner.setter
    def on_sooner(self, tell: Callable[[], None] | None) -> None:
        self._due.on_sooner = tell

    # The site.

    def take(self, now: float, site: Site) -> None:
        """The site has changed: probe by this one from now on. It sends nothing itself."""
        known, self._probed = self._probed, {}
        for provider in site.providers.values():
            for gateway in provider.gateway:
                if not gateway.probe_every_s:
                    continue
                key = provider.name, gateway.name
                one = known.get(key)
                if one is not None and one.uri == gateway.uri:
                    del known[key]
                    self._keep(now, one, gateway.probe_every_s)
                else:
                    one = _Probed(key, gateway)
                    one.next_at = self._soon(now, one)
                    self._due.set(one, one.next_at)
                self._probed[key] = one
        for one in known.values():
            # What comes of the one under way is of no interest any more.
            one.under_way = 0
            self._due.set(one, None)

    def _keep(self, now: float, one: _Probed, every_s: int) -> None:
        """It is probed on, maybe at another interval, which is that of the present one too."""
        if every_s == one.every_s:
            return
        one.every_s = every_s
        if one.number:
            self._set_next(one)
            if one.next_at < now:
                one.next_at = self._soon(now, one)
            self._due.set(one, one.due_at(now))

    def _soon(self, now: float, one: _Probed) -> float:
        return now + min(one.every_s, FIRST_S) * self._random.random()

    def _set_next(self, one: _Probed) -> None:
        one.next_at = one.sent_at + one.every_s * (1.0 - JITTER + 2.0 * JITTER * self._random.random())

    # Time, and answers.

    def deadline(self) -> float | None:
        """When `expire` is wanted next."""
        return self._due.deadline()

    def expire(self, now: float) -> None:
        """Count the silence of those that have not answered, and send what is due."""
        while (one := self._due.pop(now)) is not None:
            if one.under_way:
                one.under_way = 0
                self._tell(now, one, 408, "timeout")
            self._send(now, one)

    def _send(self, now: float, one: _Probed) -> None:
        one.number += 1
        one.under_way = one.number
        one.sent_at = now
        self._set_next(one)
        self._due.set(one, one.due_at(now))
        self._originate(now, self._request(one), partial(self._answered, one, one.number))

    def _request(self, one: _Probed) -> OwnRequest:
        """RFC 3261 11.1: an OPTIONS to the gateway itself, from nobody's dialog."""
        uri = parse_uri(one.uri)
        target, to = one.uri, f"<{one.uri}>"
        if not isinstance(uri, Malformed):
            target = Uri(uri.scheme, None, None, uri.host, uri.port, uri.params, "", "").format()
            to = _bare(uri, None)
        contact = self._contact_of(one.uri, USER)
        own = parse_uri(contact)
        from_ = f"<{contact}>" if isinstance(own, Malformed) else _bare(own, USER)
        return originated(
            "OPTIONS",
            target,
            from_=f"{from_};tag={self._random.getrandbits(64):016x}",
            to=to,
            call_id=f"{self._random.getrandbits(128):032x}",
            cseq=1,
            headers=(f"Contact: <{contact}>", "Accept: application/sdp"),
        )

    def _answered(self, one: _Probed, number: int, now: float, result: Result) -> None:
        if number != one.under_way:
            return
        one.under_way = 0
        self._due.set(one, one.due_at(now))
        # "full": there was no room here, which says nothing of the gateway.
        if result.error != "full":
            self._tell(now, one, result.status, result.error)

    def _tell(self, now: float, one: _Probed, status: int, error: str | None) -> None:
        provider = self._trunks.find(one.key[0])
        if provider is not None:
            provider.probed(now, one.key[1], status, error)


def _bare(uri: Uri, user: str | None) -> str:
    """A URI for From or To, which have neither port nor parameters of the way (RFC 3261 19.1.1, table 1)."""
    return f"<{Uri(uri.scheme, user, None, uri.host, None, {}, '', '').format()}>"
