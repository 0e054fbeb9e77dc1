"""Certificate and key of a listener: files that are read again whenever they change."""

import os
import ssl
from typing import Final

import structlog

_log: Final = structlog.get_logger()

#: How the library says that a key is another certificate's; the last two where it is not even
#: of the same kind.
_NOT_A_PAIR: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

#: While files can't be used, they are tried again after this though they look the same: the
#: reason may lie elsewhere, as where no more files may be open.
RETRY_S: Final = 60.0

_CIPHERS: Final = "DEFAULT:!kRSA:!PSK:!SRP:!aNULL:!eNULL"

_File = tuple[int, int, int, int]


class CredentialsError(OSError):
    """A file that can't be used. reason: names it and the way out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Credentials:
    """What a TLS or WSS listener shows to its peers, and what it asks of them.

    certificate: the chain, key: its private key, client_ca: who signs the certificates of
    peers, "" to ask clients for none; all of them paths of PEM files. Raises
    CredentialsError where they can't be used.
    """

    __slots__ = (
        "_certificate",
        "_client_ca",
        "_key",
        "_reason",
        "_retry_at",
        "_seen",
        "_tried",
        "client",
        "server",
    )

    def __init__(self, certificate: str, key: str, client_ca: str = "") -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        #: The files as they are in use, and as they were when they last were tried.
        self._seen = self._tried = self._look()
        self._retry_at = 0.0
        self._reason = ""
        #: For connections that come, and for those that we open.
        self.server = self._server_context()
        self.client = self._client_context()

    def refresh(self, now: float) -> bool:
        """Read the files again if they have changed; whether new ones are in use now.

        now: seconds, by a clock that does not go back. Where they can't be used the old ones
        stay, and they are tried again when they change, and every minute. The reason is
        logged once: maybe only one of the two files has been replaced yet.
        """
        found = self._look()
        if found == self._seen or (found == self._tried and now < self._retry_at):
            return False
        changed = found != self._tried
        self._tried = found
        self._retry_at = now + RETRY_S
        try:
            server, client = self._server_context(), self._client_context()
        except CredentialsError as fault:
            if changed or fault.reason != self._reason:
                _log.warning("certificate not renewed", reason=fault.reason)
            self._reason = fault.reason
            return False
        self._seen = found
        self.server, self.client = server, client
        _log.info("certificate renewed", certificate=self._certificate)
        return True

    def _look(self) -> list[_File | None]:
        """What tells whether a file is another one than before."""
        return [_look(path) for path in (self._certificate, self._key, self._client_ca) if path]

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._prepare(context)
        if self._client_ca:
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _client_context(self) -> ssl.SSLContext:
        """RFC 5922 7.3: the peer has to prove the name that we were going to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        self._prepare(context)
        return context

    def _prepare(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        # RFC 9325 4.1: who gets at a key later must not read what was said before.
        context.set_ciphers(_CIPHERS)
        self._readable()
        try:
            # Without a password given, the library would ask for one at the terminal.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except ssl.SSLError as error:
            raise CredentialsError(self._explain(error)) from None
        except OSError as error:
            # It was there a moment ago.
            raise CredentialsError(f"certificate or key can't be read: {error.strerror}") from None
        if self._client_ca:
            try:
                context.load_verify_locations(self._client_ca)
            except OSError:
                raise CredentialsError(
                    f"client_ca {self._client_ca} holds no certificate; give a PEM file"
                ) from None

    def _readable(self) -> None:
        """Raise where a file can't even be read: the library does not say which one it was."""
        for what, path in (
            ("certificate", self._certificate),
            ("key", self._key),
            ("client_ca", self._client_ca),
        ):
            if path:
                try:
                    with open(path, "rb"):
                        pass
                except OSError as error:
                    raise CredentialsError(f"{what} {path} can't be read: {error.strerror}") from None

    def _explain(self, error: ssl.SSLError) -> str:
        if error.reason in _NOT_A_PAIR:
            return f"key {self._key} does not belong to certificate {self._certificate}; give the key of it"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self._certificate)
        except ssl.SSLError:
            return f"certificate {self._certificate} holds no certificate; give a PEM file"
        return f"key {self._key} holds no key that can be used; give a PEM file without a password"


def _look(path: str) -> _File | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # The last one changes with owner and rights too.
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns
