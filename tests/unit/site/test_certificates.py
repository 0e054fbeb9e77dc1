"""The certificate files of a [[listen]]: what is missing, unreadable, or does not fit together."""

import errno
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from certificates import Authority
from oneproxy.site import certificates
from oneproxy.site.file import read, read_text
from oneproxy.site.model import Configuration, Listen

TABLES = """\
[[listen]]
transport = "{transport}"
address = "127.0.0.1:5061"
{files}
[[domain]]
name = "example.com"
"""
BOTH = 'certificate = "cert.pem"\nkey = "key.pem"'
CERTIFICATE = "a file with a certificate in PEM format, and those that lead to its authority"
KEY = "a file with the private key of the certificate in PEM format"


def write_pair(folder: Path, certificate: str = "cert.pem", key: str = "key.pem", password: str = "") -> None:
    """A new key, behind a password if there is one, and its certificate."""
    issued = Authority(folder).issue("example.com", to="issued")
    Path(issued.certificate).rename(folder / certificate)
    written = Path(issued.key).read_bytes()
    if password:
        lock = BestAvailableEncryption(password.encode())
        private = load_pem_private_key(written, None)
        written = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    (folder / key).write_bytes(written)


def found_in(folder: Path, files: str, transport: str = "tls") -> list[str]:
    found = read_text(TABLES.format(transport=transport, files=files), folder)
    assert isinstance(found, list), "there should have been a mistake"
    return [mistake.text("f") for mistake in found]


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_files_are_found_beside_the_configuration_file(tmp_path: Path, transport: str) -> None:
    write_pair(tmp_path)
    write_pair(tmp_path, "ca.pem", "unused.pem")
    file = tmp_path / "oneproxy.toml"
    file.write_text(TABLES.format(transport=transport, files=f'{BOTH}\nclient_ca = "{tmp_path}/ca.pem"'))
    found = read(file)
    assert isinstance(found, Configuration), found
    folder = str(tmp_path)
    assert found.machine.listen == (
        Listen(
            transport,
            "127.0.0.1",
            5061,
            certificate=f"{folder}/cert.pem",
            key=f"{folder}/key.pem",
            client_ca=f"{folder}/ca.pem",
        ),
    )


def test_names_of_files_are_absolute_wherever_the_file_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(tmp_path)
    (tmp_path / "oneproxy.toml").write_text(TABLES.format(transport="tls", files=BOTH))
    monkeypatch.chdir(tmp_path)
    found = read(Path("oneproxy.toml"))
    assert isinstance(found, Configuration), found
    assert found.machine.listen[0].key == f"{tmp_path}/key.pem"


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_each_missing_key_is_named(tmp_path: Path, transport: str) -> None:
    assert found_in(tmp_path, "", transport) == [
        f'f:1: listen[1].certificate: found the transport "{transport}" without certificate; '
        f"allowed certificate = {CERTIFICATE}",
        f'f:1: listen[1].key: found the transport "{transport}" without key; allowed key = {KEY}',
    ]


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
def test_files_at_a_transport_without_tls_are_mistakes(tmp_path: Path, transport: str) -> None:
    assert found_in(tmp_path, f'{BOTH}\nclient_ca = "ca.pem"', transport) == [
        f'f:{line}: listen[1].{key}: found {key} with the transport "{transport}"; '
        f'allowed {key} with "tls" and "wss" only'
        for line, key in ((4, "certificate"), (5, "key"), (6, "client_ca"))
    ]


def test_files_that_are_not_there_are_named_with_the_place_where_they_were_looked_for(tmp_path: Path) -> None:
    where = f"looked for at {tmp_path}"
    why = "which cannot be read (no such file or directory)"
    assert found_in(tmp_path, f'{BOTH}\nclient_ca = "ca.pem"') == [
        f'f:4: listen[1].certificate: found "cert.pem", {why}; allowed {CERTIFICATE}; {where}/cert.pem',
        f'f:5: listen[1].key: found "key.pem", {why}; allowed {KEY}; {where}/key.pem',
        f'f:6: listen[1].client_ca: found "ca.pem", {why}; '
        f"allowed a file with certificates of authorities in PEM format; {where}/ca.pem",
    ]


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    write_pair(tmp_path)
    assert found_in(tmp_path, 'certificate = "."\nkey = "key.pem"')[0].startswith(
        'f:4: listen[1].certificate: found ".", which cannot be read (is a directory); allowed '
    )


def test_a_file_that_we_may_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, _mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    write_pair(tmp_path)
    # Root, who runs tests here and there, may read every file: the system's answer to others.
    monkeypatch.setattr(certificates, "open", refuse, raising=False)
    assert "which cannot be read (permission denied)" in found_in(tmp_path, BOTH)[0]


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path)
    write_pair(tmp_path, "other.pem")
    assert found_in(tmp_path, BOTH) == [
        "f:5: listen[1].key: found a key that does not belong to the certificate; "
        f"allowed {KEY}: {tmp_path}/cert.pem"
    ]


def test_files_that_hold_something_else_are_named(tmp_path: Path) -> None:
    write_pair(tmp_path)
    assert found_in(tmp_path, 'certificate = "key.pem"\nkey = "key.pem"') == [
        f"f:4: listen[1].certificate: found no certificate in it; allowed {CERTIFICATE}"
    ]
    assert found_in(tmp_path, 'certificate = "cert.pem"\nkey = "cert.pem"') == [
        f"f:5: listen[1].key: found no private key in it; allowed {KEY}"
    ]
    whole = (tmp_path / "cert.pem").read_bytes()
    (tmp_path / "short.pem").write_bytes(whole[: len(whole) // 2])
    assert found_in(tmp_path, 'certificate = "short.pem"\nkey = "key.pem"') == [
        f"f:4: listen[1].certificate: found a certificate that is cut short or damaged; allowed {CERTIFICATE}"
    ]
    (tmp_path / "empty.pem").touch()
    assert found_in(tmp_path, f'{BOTH}\nclient_ca = "empty.pem"') == [
        "f:6: listen[1].client_ca: found no certificate in it; "
        "allowed a file with certificates of authorities in PEM format"
    ]


def test_a_key_with_a_password_is_named_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    write_pair(tmp_path, password="wonderland")
    assert found_in(tmp_path, BOTH) == [
        f"f:5: listen[1].key: found a key with a password; allowed {KEY}, without a password"
    ]


def test_a_key_that_stands_in_the_file_itself_is_not_shown(tmp_path: Path) -> None:
    write_pair(tmp_path)
    written = (tmp_path / "key.pem").read_text()
    [mistake] = found_in(tmp_path, f'certificate = "cert.pem"\nkey = """{written}"""')
    assert mistake.startswith("f:5: listen[1].key: found something other than the name of a file")
    assert written.splitlines()[1] not in mistake


def test_a_nul_in_a_name_is_a_mistake(tmp_path: Path) -> None:
    write_pair(tmp_path)
    assert "which is no name of a file" in found_in(tmp_path, 'certificate = "a\\u0000b"\nkey = "key.pem"')[0]


def test_an_empty_name_is_named_once(tmp_path: Path) -> None:
    write_pair(tmp_path)
    assert found_in(tmp_path, 'certificate = ""\nkey = "key.pem"') == [
        'f:4: listen[1].certificate: found ""; allowed the name of a file in PEM format'
    ]
