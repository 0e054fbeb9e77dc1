"""TLS over octets instead of a socket (the standard library's, without its input and output)."""

import ssl
from contextlib import suppress
from typing import Any, Final

#: One record at most comes out of one read.
_RECORD: Final = 16_384


class TlsStream:
    """One end of one TLS connection.

    server_name: of whom the certificate has to be, a name or an IP address, where this is
    the client; None for the server. After `feed` and `write` there may be something to
    `take` and send. `fault` says why it is over where it is; "" for an end in order. Raises
    ValueError for a server name that none can have.
    """

    __slots__ = ("_incoming", "_outgoing", "_ssl", "ended", "established", "fault")

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self.established = False
        self.ended = False
        self.fault = ""

    def start(self) -> None:
        """Begin the handshake, as the client."""
        self._shake()

    def feed(self, data: bytes) -> bytes:
        """Take what came from the peer; give what it says."""
        self._incoming.write(data)
        if not self.established:
            self._shake()
        if self.ended or not self.established:
            return b""
        said = b""
        while self._incoming.pending or self._ssl.pending():
            try:
                record = self._ssl.read(_RECORD)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                record = b""
            except ssl.SSLError as error:
                self._fail(error)
                break
            if not record:
                self.ended = True
                break
            # Nearly always there is one record.
            said = said + record if said else record
        return said

    def write(self, data: bytes) -> None:
        """Say `data` to the peer; only once established."""
        try:
            self._ssl.write(data)
        except ssl.SSLError as error:
            self._fail(error)

    @property
    def waiting(self) -> int:
        """How many octets there are to `take`."""
        return self._outgoing.pending

    def take(self) -> bytes:
        """What is to be sent now; an alert too, after a fault."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def close(self) -> None:
        """Say that nothing more follows."""
        if self.established and not self.fault:
            # It wants the peer's own good-bye, which nobody waits for.
            with suppress(ssl.SSLError):
                self._ssl.unwrap()

    def names(self) -> list[str]:
        """The names in the peer's certificate, in lower case; none where it was not verified."""
        return peer_names(self._ssl.getpeercert()) if self.established else []

    def client_names(self) -> tuple[str, ...]:
        """What the peer's certificate calls it; nothing where it was not verified."""
        return client_names(self._ssl.getpeercert()) if self.established else ()

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
            self.established = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)

    def _fail(self, error: ssl.SSLError) -> None:
        self.ended = True
        if isinstance(error, ssl.SSLCertVerificationError):
            self.fault = error.verify_message
        else:
            self.fault = (error.reason or str(error)).lower().replace("_", " ")


def client_names(certificate: dict[str, Any] | None) -> tuple[str, ...]:
    """All that a verified certificate calls its owner, in lower case: alternative names, then common
    names. More than it is for: who wrote a rule for a client has chosen the authority too."""
    if not certificate:
        return ()
    alternatives = [value.lower() for _, value in certificate.get("subjectAltName", ()) if _is_text(value)]
    return tuple(dict.fromkeys((*peer_names(certificate), *alternatives, *_common_names(certificate))))


def peer_names(certificate: dict[str, Any] | None) -> list[str]:
    """The names that a verified certificate is for (RFC 5922 7.1): DNS, then SIP URIs and IP
    addresses; only where it has no such name the common name."""
    if not certificate:
        return []
    alternatives = certificate.get("subjectAltName", ())
    names = [value.lower() for kind, value in alternatives if kind == "DNS"]
    for kind, value in alternatives:
        if kind == "URI" and value[:4].lower() == "sip:" and "@" not in value:
            names.append(value[4:].lower())
    names += [value.lower() for kind, value in alternatives if kind == "IP Address"]
    if not names:
        names = _common_names(certificate)
    return list(dict.fromkeys(names))


def _common_names(certificate: dict[str, Any]) -> list[str]:
    return [
        value.lower() for part in certificate.get("subject", ()) for key, value in part if key == "commonName"
    ]


def _is_text(value: object) -> bool:
    """Other alternative names, such as those of directories, have parts."""
    return isinstance(value, str)
