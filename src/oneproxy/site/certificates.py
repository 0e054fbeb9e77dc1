"""The certificate files of [[listen]] tables and of [admin]: what is missing, and what does not fit.

They are looked at when the file is checked, since a phone that cannot connect says no
more than that it cannot. Whoever listens reads them again by itself whenever they change.
"""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from oneproxy.site.lines import Path as Place
from oneproxy.site.tables import Fault, Tables

SECURE: Final = frozenset(("tls", "wss"))

_CERTIFICATE: Final = "a file with a certificate in PEM format, and those that lead to its authority"
_KEY: Final = "a file with the private key of the certificate in PEM format"
_CLIENT_CA: Final = "a file with certificates of authorities in PEM format"
_ALLOWED: Final = {"certificate": _CERTIFICATE, "key": _KEY, "client_ca": _CLIENT_CA}


def place(folder: Path, written: str | None) -> str:
    """The absolute name of a file that stands in a configuration file in `folder`; "" for none."""
    return "" if written is None else str((folder / written).absolute())


def find_certificate_faults(tables: Tables, index: int, folder: Path) -> Iterator[Fault]:
    """What is wrong with the files of one [[listen]] whose transport needs them."""
    listen = tables.listen[index]
    written = {key: getattr(listen, key, None) for key in _ALLOWED if tables.sound("listen", index, key)}
    yield from _faults(("listen", index), written, folder, f'the transport "{listen.transport}"')


def find_admin_faults(tables: Tables, folder: Path) -> Iterator[Fault]:
    """What is wrong with the files of [admin], where one stands there."""
    admin = tables.admin
    if admin.certificate is not None or admin.key is not None:
        written = {"certificate": admin.certificate, "key": admin.key}
        other = "certificate" if admin.key is None else "key"
        yield from _faults(("admin",), written, folder, f"a {other}")


def _faults(path: Place, written: dict[str, str | None], folder: Path, what: str) -> Iterator[Fault]:
    """What is wrong with the files of one table. what: has no file where none is written."""
    readable: dict[str, str] = {}
    for key, name in written.items():
        allowed = _ALLOWED[key]
        if name is not None:
            file = place(folder, name)
            why = _unreadable(file)
            if why is None:
                readable[key] = file
            else:
                yield Fault((*path, key), f"{_shown(name)}, {why}", f"{allowed}; {_way_out(file)}")
        elif key != "client_ca":
            yield Fault((*path, key), f"{what} without {key}", f"{key} = {allowed}")
    yield from _misfits(path, readable)


def _misfits(path: Place, files: dict[str, str]) -> Iterator[Fault]:
    """Readable files whose contents are not what they should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for key, allowed in (("certificate", _CERTIFICATE), ("client_ca", _CLIENT_CA)):
        if key in files and not _holds_certificates(files[key]):
            yield Fault((*path, key), _instead_of_certificates(files[key]), allowed)
            files.pop(key)
    if "certificate" not in files or "key" not in files:
        return
    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        # Without a function for the password OpenSSL would ask for it at the terminal.
        context.load_cert_chain(files["certificate"], files["key"], password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "PEM"
        if asked:
            yield Fault((*path, "key"), "a key with a password", f"{_KEY}, without a password")
        elif "MISMATCH" in reason:
            found = "a key that does not belong to the certificate"
            yield Fault((*path, "key"), found, f"{_KEY}: {files['certificate']}")
        elif "PEM" in reason or "NO_START_LINE" in reason or "UNSUPPORTED" in reason:
            yield Fault((*path, "key"), "no private key in it", _KEY)
        else:
            said = reason.replace("_", " ").lower()
            yield Fault((*path, "certificate"), f"what OpenSSL refuses ({said})", _CERTIFICATE)


def _holds_certificates(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True


def _instead_of_certificates(file: str) -> str:
    with open(file, "rb") as opened:
        begun = b"BEGIN CERTIFICATE" in opened.read(65_536)
    return "a certificate that is cut short or damaged" if begun else "no certificate in it"


def _unreadable(file: str) -> str | None:
    """Why `file` cannot be read, or None."""
    try:
        with open(file, "rb") as opened:
            opened.read(1)
    except OSError as error:
        return f"which cannot be read ({(error.strerror or 'an error').lower()})"
    except ValueError:
        return "which is no name of a file"
    return None


def _shown(written: str) -> str:
    """The name as it was written; not the key itself, where somebody put that there."""
    if len(written) > 255 or "\n" in written or "-----" in written:
        return "something other than the name of a file"
    return json.dumps(written, ensure_ascii=False)


def _way_out(file: str) -> str:
    if len(file) > 4096 or "\n" in file or "-----" in file:
        return "write its name here"
    return f"looked for at {file}"
