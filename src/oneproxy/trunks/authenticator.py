"""Answering the challenges of a gateway: the client's side of Digest (RFC 7616, RFC 8760, RFC 3261 22).

A nonce is used again for as long as it is good, with a count that goes up, so that a REGISTER that
refreshes, or the next INVITE, is not challenged again. `Authentication-Info` may name the next one.
Which challenge is the answer to a wrong password, and which says that the nonce is too old, is told
by whether the nonce has proved anything before.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from oneproxy.sip.credentials import Challenge, Credentials, parse_challenge
from oneproxy.sip.digest import ALGORITHMS, make_ha1, make_response
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response

#: Why a challenge is not answered.
WRONG_PASSWORD: Final = "wrong-password"
NO_CHALLENGE: Final = "no-challenge"
OTHER_ALGORITHM: Final = "other-algorithm"

_KNOWN: Final = {name.upper(): name for plain in ALGORITHMS for name in (plain, f"{plain}-sess")}
#: What is asked for, and the header field that answers it.
_ANSWERED_IN: Final = {
    "www-authenticate": "Authorization",
    "proxy-authenticate": "Proxy-Authorization",
}
#: Realms that one gateway is answered for at once: its own, and a few proxies before it.
_MOST_REALMS: Final = 4
#: RFC 7616 3.4: eight hexadecimal digits.
_MOST_USES: Final = 0xFFFF_FFFF


class _Nonce:
    """What was asked for in one realm, and how often it was answered."""

    __slots__ = ("algorithm", "cnonce", "count", "ha1", "nonce", "opaque", "proved", "qop", "realm")

    def __init__(self, challenge: Challenge, algorithm: str, ha1: str, cnonce: str) -> None:
        params = challenge.params
        self.realm = params["realm"]
        self.nonce = params["nonce"]
        self.algorithm = algorithm
        self.ha1 = ha1
        #: One for each nonce: "-sess" takes it into the key (RFC 7616 3.4.2).
        self.cnonce = cnonce
        self.opaque = params.get("opaque")
        offered = [one.strip(" \t").lower() for one in params.get("qop", "").split(",")]
        self.qop = next((qop for qop in ("auth", "auth-int") if qop in offered), None)
        self.count = 0
        #: Whether it, or the one before it, was taken for a proof.
        self.proved = False


class Authenticator:
    """The credentials at one gateway. Passwords and what is made of them never leave but in proofs."""

    __slots__ = ("_nonces", "_password", "_random", "_username")

    def __init__(self, username: str, password: str, random: Random) -> None:
        self._username = username
        self._password = password
        self._random = random
        #: By the header field that answers, and the realm.
        self._nonces: dict[tuple[str, str], _Nonce] = {}

    def lines(self, method: str, uri: str, body: str = "") -> tuple[str, ...]:
        """The header lines that prove the password for one request; () before anybody asked.

        uri: the Request-URI. Each call uses up a count, so these lines are for one request alone.
        """
        return tuple(
            [f"{header}: {self._prove(one, method, uri, body)}" for (header, _), one in self._nonces.items()]
        )

    def challenged(self, response: Response) -> str:
        """Take the challenges of a 401 or 407: "" where another try may succeed, else why not."""
        asking = "proxy-authenticate" if response.status == 407 else "www-authenticate"
        header = _ANSWERED_IN[asking]
        why = NO_CHALLENGE
        answered: set[str] = set()
        for challenge in _challenges(response, asking):
            realm = challenge.params["realm"]
            if realm in answered:
                # RFC 8760 2.4: the first that is known; the others are for who does not know it.
                continue
            algorithm = _KNOWN.get(challenge.params.get("algorithm", "MD5").upper())
            if algorithm is None or not _may_answer(challenge):
                why = why if why == WRONG_PASSWORD else OTHER_ALGORITHM
                continue
            answered.add(realm)
            if self._is_refusal(header, challenge):
                why = WRONG_PASSWORD
                # Whoever tries later begins anew.
                del self._nonces[header, realm]
            else:
                self._remember(header, challenge, algorithm)
                why = why if why == WRONG_PASSWORD else ""
        return why

    def succeeded(self, response: Response | None = None) -> None:
        """The proofs were taken: their nonces are good, or the next one is named (RFC 7616 3.5).

        response: None where only that it came is known.
        """
        for one in self._nonces.values():
            one.proved = one.proved or one.count > 0
        if response is None or "authentication-info" not in response.first:
            return
        told = parse_challenge(f"Digest {response.get('authentication-info')}")
        own = [one for (header, _), one in self._nonces.items() if header == "Authorization"]
        if isinstance(told, Malformed) or not told.params.get("nextnonce") or len(own) != 1:
            return
        own[0].nonce = told.params["nextnonce"]
        own[0].count = 0

    def _is_refusal(self, header: str, challenge: Challenge) -> bool:
        """Whether a challenge is the answer to a proof that was wrong.

        RFC 7616 3.3: with stale=true the password was right. Peers that forget it are believed to
        mean it where the nonce was good once.
        """
        known = self._nonces.get((header, challenge.params["realm"]))
        if known is None or not known.count or known.proved:
            return False
        return challenge.params.get("stale", "").lower() != "true"

    def _remember(self, header: str, challenge: Challenge, algorithm: str) -> None:
        realm = challenge.params["realm"]
        if (header, realm) not in self._nonces and len(self._nonces) >= _MOST_REALMS:
            self._nonces.clear()
        ha1 = make_ha1(
            algorithm, self._username, realm.encode("latin-1").decode("utf-8", "replace"), self._password
        )
        cnonce = f"{self._random.getrandbits(64):016x}"
        self._nonces[header, realm] = _Nonce(challenge, algorithm, ha1, cnonce)

    def _prove(self, one: _Nonce, method: str, uri: str, body: str) -> str:
        if one.count >= _MOST_USES:
            one.count = 0
        one.count += 1
        count = f"{one.count:08x}"
        proof = make_response(
            one.algorithm, one.ha1, method, uri, one.nonce, one.qop, count, one.cnonce, body
        )
        # The realm as it came; the user as octets, as all SIP text is here.
        params = {
            "username": self._username.encode("utf-8").decode("latin-1"),
            "realm": one.realm,
            "nonce": one.nonce,
            "uri": uri,
            "response": proof,
            "algorithm": one.algorithm,
        }
        if one.qop is not None:
            params |= {"qop": one.qop, "nc": count, "cnonce": one.cnonce}
        elif one.algorithm.endswith("-sess"):
            params["cnonce"] = one.cnonce
        if one.opaque is not None:
            params["opaque"] = one.opaque
        return Credentials("Digest", params).format()


def _challenges(response: Response, asking: str) -> Iterator[Challenge]:
    """The Digest challenges of a response that hold what they must, in order."""
    for line in response.all(asking):
        challenge = parse_challenge(line)
        if isinstance(challenge, Malformed) or not challenge.is_digest:
            continue
        if "realm" in challenge.params and challenge.params.get("nonce"):
            yield challenge


def _may_answer(challenge: Challenge) -> bool:
    """Whether it asks for a proof of a kind that is known here; without qop it is RFC 2069's."""
    qop = challenge.params.get("qop")
    return qop is None or any(one.strip(" \t").lower() in ("auth", "auth-int") for one in qop.split(","))
