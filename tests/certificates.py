"""Certificates for tests: an authority of their own, and what it signs.

authority = Authority(tmp_path)
server = authority.issue("sip.example.com", addresses=["127.0.0.1"])
context.load_cert_chain(server.certificate, server.key); context.load_verify_locations(authority.path)
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME: Final = timedelta(days=30)


class Issued(NamedTuple):
    """A certificate and its key: paths of PEM files."""

    certificate: str
    key: str


class Authority:
    """A certificate authority whose files live in `folder`. path: its own certificate."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._key = generate_private_key(SECP256R1())
        self._name = _name(name)
        self._number = 0
        builder = _builder(self._name, self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        signed = builder.add_extension(usage, critical=True).add_extension(self._identifier, critical=False)
        self.path = str(folder / f"{name.replace(' ', '-')}.pem")
        certificate = signed.sign(self._key, SHA256())
        Path(self.path).write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        common_name: str,
        names: Sequence[str] = (),
        addresses: Sequence[str] = (),
        uris: Sequence[str] = (),
        to: str = "",
    ) -> Issued:
        """A certificate for server and client with these alternative names.

        to: how the files are called, so that they replace others; a new name if left out.
        """
        self._number += 1
        key = generate_private_key(SECP256R1())
        alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
        alternatives += [x509.IPAddress(ip_address(one)) for one in addresses]
        alternatives += [x509.UniformResourceIdentifier(one) for one in uris]
        builder = _builder(_name(common_name), self._name, key)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        certificate = builder.add_extension(signer, critical=False).sign(self._key, SHA256())
        stem = to or f"{self._number}-{common_name}"
        issued = Issued(str(self._folder / f"{stem}.pem"), str(self._folder / f"{stem}.key"))
        Path(issued.certificate).write_bytes(certificate.public_bytes(Encoding.PEM))
        Path(issued.key).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return issued


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A little earlier: clocks of containers are not always those of their host.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )
