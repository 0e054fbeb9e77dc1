"""Judging the credentials of a request: whose password they prove, or why they prove none.

An unknown user, a wrong password and an account that is closed take the same work and lead to
the same answer, so that nothing tells a guesser which is which.
"""

import os
from collections.abc import Mapping
from typing import Final, Protocol

from oneproxy.access import causes
from oneproxy.access.challenge import Challenge
from oneproxy.access.guard import Guard
from oneproxy.access.nonces import Nonces
from oneproxy.access.proof import Proof, read_proof
from oneproxy.access.replays import Replays
from oneproxy.access.sources import source_of
from oneproxy.engine.decisions import Ask
from oneproxy.sip.credentials import parse_credentials
from oneproxy.sip.digest import ALGORITHMS, hash_text, make_response, same_response
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, escape_user, parse_uri, same_uri
from oneproxy.site.model import Domain, Subscriber

#: Proofs for our realm that are worked out for one request. Several proxies of a realm
#: on the way may each have asked (RFC 3261 22.3); a header full of them is an attack.
MAX_PROOFS: Final = 4

#: Schemes of who may call.
CALLERS: Final = frozenset(("sip", "sips", "tel"))
#: Nothing is wrong.
PROVED: Final = ""
#: Of several credentials the best counts; those that stand behind are better.
_RANKS: Final = {
    cause: rank
    for rank, cause in enumerate(
        (
            causes.NO_CREDENTIALS,
            causes.OTHER_REALM,
            causes.MALFORMED_CREDENTIALS,
            causes.OTHER_ALGORITHM,
            causes.UNKNOWN_USER,
            causes.WRONG_PASSWORD,
            causes.ACCOUNT_CLOSED,
            causes.STALE,
            causes.REPLAYED,
        )
    )
}


class Domains(Protocol):
    """Whose a URI is."""

    def find(self, uri: Uri) -> tuple[Domain, str] | None:
        """The served domain that a request for `uri` is for, and the AoR there."""
        ...

    def claimed(self, uri: Uri) -> tuple[Domain, str] | None:
        """The served domain that a caller with `uri` claims to be of, and the AoR."""
        ...

    def is_node(self, uri: Uri) -> bool:
        """Whether `uri` names this node or a served domain, and no user there."""
        ...


class Realm:
    """What one domain asks for, as registrar (401) and as proxy (407)."""

    __slots__ = ("algorithms", "domain", "name", "proxy", "registrar")

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.name = domain.name
        self.algorithms = frozenset(domain.algorithms)
        self.registrar = Challenge(domain, 401)
        self.proxy = Challenge(domain, 407)


class Verifier:
    """Knows the passwords. subscribers: by AoR, as requests name it; live."""

    __slots__ = ("_decoy", "_domains", "_guard", "_nonces", "_replays", "_subscribers")

    def __init__(
        self,
        subscribers: Mapping[str, Subscriber],
        domains: Domains,
        nonces: Nonces,
        replays: Replays,
        guard: Guard,
    ) -> None:
        self._subscribers = subscribers
        self._domains = domains
        self._nonces = nonces
        self._replays = replays
        self._guard = guard
        # What the responses of unknown users are compared with: nobody knows a password
        # that hashes to it.
        secret = os.urandom(32)
        self._decoy = {name: hash_text(name, secret) for name in ALGORITHMS}

    def verify(self, ask: Ask, realm: Realm, header: str) -> tuple[str, str]:
        """PROVED and the AoR whose password it was, or why not.

        header: "authorization" or "proxy-authorization". Those for other realms belong to
        other proxies and are not looked at (RFC 3261 22.3).
        """
        best = causes.NO_CREDENTIALS
        tried = 0
        for value in ask.request.all(header):
            cause, aor = causes.OTHER_REALM, ""
            # Saves the reading of what is for others; the realm itself is compared below.
            if realm.name in value:
                tried += 1
                if tried > MAX_PROOFS:
                    break
                cause, aor = self._judge(value, ask, realm)
                if cause == PROVED:
                    return PROVED, aor
            if _RANKS[cause] > _RANKS[best]:
                best = cause
        return best, ""

    def foresee(self, aor: str, realm: Realm, host: str, now: float) -> str:
        """PROVED, or why not, where `aor` answers a challenge with its right password."""
        subscriber = self._subscribers.get(aor)
        if subscriber is None:
            return causes.UNKNOWN_USER
        if realm.algorithms.isdisjoint(subscriber.ha1):
            return causes.WRONG_PASSWORD
        guard = self._guard
        is_closed = len(guard.bans) and guard.is_closed(aor, source_of(host), now)
        return causes.ACCOUNT_CLOSED if is_closed else PROVED

    def _judge(self, value: str, ask: Ask, realm: Realm) -> tuple[str, str]:
        """What one header value is worth."""
        credentials = parse_credentials(value)
        if isinstance(credentials, Malformed):
            return causes.MALFORMED_CREDENTIALS, ""
        if not credentials.is_digest or credentials.params.get("realm") != realm.name:
            return causes.OTHER_REALM, ""
        proof = read_proof(credentials)
        if isinstance(proof, Malformed) or not self._is_for(proof.uri, ask):
            return causes.MALFORMED_CREDENTIALS, ""
        if proof.algorithm not in realm.algorithms:
            return causes.OTHER_ALGORITHM, ""
        aor = f"{escape_user(proof.user)}@{realm.name}"
        return self._prove(proof, aor, ask), aor

    def _prove(self, proof: Proof, aor: str, ask: Ask) -> str:
        """Whether `proof` shows the password of `aor`; the same work whoever that is."""
        host = ask.flow.host
        source = source_of(host)
        guard = self._guard
        nonce = self._nonces.read(proof.nonce)
        if (nonce is None or not self._nonces.is_for(nonce, source)) and not guard.believes(source):
            return causes.STALE
        subscriber = self._subscribers.get(aor)
        ha1 = None if subscriber is None else subscriber.ha1.get(proof.algorithm)
        request = ask.request
        expected = make_response(
            proof.algorithm,
            ha1 or self._decoy[proof.algorithm],
            request.method,
            proof.uri,
            proof.nonce,
            proof.qop,
            proof.nc,
            proof.cnonce,
            request.body,
        )
        if not same_response(expected, proof.response) or ha1 is None:
            guard.note_wrong(host, source, aor if subscriber is not None else "", ask.now)
            return causes.WRONG_PASSWORD if subscriber is not None else causes.UNKNOWN_USER
        if len(guard.bans) and guard.is_closed(aor, source, ask.now):
            return causes.ACCOUNT_CLOSED
        # RFC 7616 3.3: who knows the password is not asked for it again because of a
        # nonce, be it old, used up, or made before the farm's secret changed.
        if nonce is None or not nonce.is_fresh(ask.now) or not self._replays.knows(nonce):
            return causes.STALE
        if not self._replays.spend(nonce, proof.count, ask.now):
            return causes.REPLAYED
        guard.note_right(source, aor, ask.now)
        return PROVED

    def _is_for(self, text: str, ask: Ask) -> bool:
        """Whether a proof made for the URI `text` is one for this request (RFC 7616 3.4.6).

        Proxies on the way may have changed the Request-URI into another that means the
        same, hence the comparison of URIs. Widespread clients put the address that they
        send to in place of the Request-URI; that means this very server and is let pass.
        """
        if text == ask.request.uri:
            return True
        uri = parse_uri(text)
        return not isinstance(uri, Malformed) and (same_uri(uri, ask.uri) or self._domains.is_node(uri))
