"""TLS without sockets: two ends that are handed each other's octets; certificates and their names."""

import os
import ssl
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from certificates import Authority, Issued
from oneproxy.transport.credentials import Credentials, CredentialsError
from oneproxy.transport.tls import TlsStream, client_names, peer_names
from wires import LOOPBACK, Place, Server, in_loop, message

NAME = "sip.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def trusting(authority: Authority, own: Issued | None = None) -> ssl.SSLContext:
    """The context of a client."""
    context = ssl.create_default_context(cafile=authority.path)
    if own is not None:
        context.load_cert_chain(*own)
    return context


def ends(server: ssl.SSLContext, client: ssl.SSLContext, name: str = NAME) -> tuple[TlsStream, TlsStream]:
    """Both ends, after as much of a handshake as they come to."""
    here, there = TlsStream(server), TlsStream(client, name)
    there.start()
    while data := there.take():
        here.feed(data)
        there.feed(here.take())
    return here, there


@pytest.fixture
def pair(authority: Authority) -> tuple[TlsStream, TlsStream]:
    own = authority.issue("x", names=[NAME])
    here, there = ends(Credentials(own.certificate, own.key).server, trusting(authority))
    assert here.established
    assert there.established
    return here, there


def test_what_one_end_says_the_other_reads_however_it_was_cut(pair: tuple[TlsStream, TlsStream]) -> None:
    here, there = pair
    said = os.urandom(40_000)
    here.write(said)
    data = here.take()
    assert said[:16] not in data
    got = b"".join(there.feed(data[at : at + 1]) for at in range(1000))
    assert got + there.feed(data[1000:]) == said
    assert here.take() == b""


def test_an_end_in_order_is_no_fault_and_is_answered(pair: tuple[TlsStream, TlsStream]) -> None:
    here, there = pair
    there.write(b"last")
    there.close()
    assert here.feed(there.take()) == b"last"
    assert (here.ended, here.fault) == (True, "")
    here.close()
    there.feed(here.take())
    assert (there.ended, there.fault) == (True, "")


def test_garbage_within_is_a_fault(pair: tuple[TlsStream, TlsStream]) -> None:
    here, there = pair
    there.write(b"hello")
    data = bytearray(there.take())
    data[-1] ^= 1
    assert here.feed(bytes(data)) == b""
    assert (here.ended, bool(here.fault)) == (True, True)
    assert here.feed(b"more") == b""
    here.close()


def test_old_versions_are_refused(authority: Authority) -> None:
    own = authority.issue("x", names=[NAME])
    client = trusting(authority)
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    here, there = ends(Credentials(own.certificate, own.key).server, client)
    assert not there.established
    assert "version" in here.fault or "protocol" in here.fault


def test_whoever_has_a_certificate_is_known_by_it_and_whoever_has_none_is_let_in(
    authority: Authority, tmp_path: Path
) -> None:
    own = authority.issue("x", names=[NAME])
    server = Credentials(own.certificate, own.key, authority.path).server
    known, _ = ends(server, trusting(authority, authority.issue("y", names=["Peer.Example.net"])))
    assert known.names() == ["peer.example.net"]
    unknown, _ = ends(server, trusting(authority))
    assert (unknown.established, unknown.names()) == (True, [])
    stranger = Authority(tmp_path, "stranger").issue("y", names=["peer.example.net"])
    refused, _ = ends(server, trusting(authority, stranger))
    assert (refused.established, refused.names(), bool(refused.fault)) == (False, [], True)
    # Without client_ca nobody is asked.
    deaf, _ = ends(Credentials(own.certificate, own.key).server, trusting(authority, own))
    assert (deaf.established, deaf.names()) == (True, [])


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        (None, []),
        ({}, []),
        (
            {
                "subject": ((("commonName", "old.example.com"),),),
                "subjectAltName": (
                    ("URI", "sip:example.com"),
                    ("DNS", "Edge.Example.com"),
                    ("IP Address", "192.0.2.1"),
                    ("URI", "sip:alice@example.com"),
                    ("URI", "https://example.com"),
                    ("DNS", "edge.example.com"),
                ),
            },
            ["edge.example.com", "example.com", "192.0.2.1"],
        ),
        (
            {"subject": ((("organizationName", "Example"),), (("commonName", "Old.example.com"),))},
            ["old.example.com"],
        ),
        ({"subjectAltName": (("URI", "SIP:Example.com"),)}, ["example.com"]),
    ],
)
def test_a_certificate_is_for_its_names(certificate: dict[str, object] | None, names: list[str]) -> None:
    assert peer_names(certificate) == names


def test_a_client_is_called_by_all_that_its_certificate_calls_it() -> None:
    certificate = {
        "subject": ((("commonName", "Gateway-7"),),),
        "subjectAltName": (
            ("URI", "sip:Example.com"),
            ("DirName", ((("commonName", "odd"),),)),
            ("DNS", "Edge.Example.com"),
            ("URI", "sip:alice@example.com"),
            ("email", "Alice@example.com"),
        ),
    }
    assert client_names(certificate) == (
        "edge.example.com",
        "example.com",
        "sip:example.com",
        "sip:alice@example.com",
        "alice@example.com",
        "gateway-7",
    )
    assert client_names(None) == client_names({}) == ()


@pytest.mark.parametrize("name", ["a..example.com", "x" * 64 + ".example.com"])
def test_a_name_that_nobody_can_have_costs_the_connection_and_nothing_else(
    authority: Authority, name: str
) -> None:
    with pytest.raises(ValueError, match="label"):
        TlsStream(trusting(authority), name)
    own = authority.issue("x", names=[NAME])

    async def play() -> None:
        place = Place("TLS", credentials=Credentials(own.certificate, own.key))
        async with place, Server() as server:
            flow = place.towards(("TLS", LOOPBACK, server.port), name)
            place.send(flow, message())
            await place.wire.until(lambda: place.wire.ended == [flow])
            await server.peer()
            assert place.wire.not_delivered == [message()]

    in_loop(play)


def test_a_renewed_certificate_is_shown_to_the_next_and_the_present_ones_go_on(
    authority: Authority, tmp_path: Path
) -> None:
    here = Authority(tmp_path)
    own = here.issue("first", names=[NAME], to="own")

    async def play() -> None:
        async with Place("TLS", credentials=Credentials(own.certificate, own.key)) as place:
            peer = await place.connect(trusting(here), NAME)
            assert peer.writer.get_extra_info("peercert")["subject"] == ((("commonName", "first"),),)
            before = place.listener.credentials and place.listener.credentials.server
            here.issue("second", names=[NAME], to="own")
            await place.wire.until(lambda: place.listener.credentials.server is not before)  # type: ignore[union-attr]
            other = await place.connect(trusting(here), NAME)
            assert other.writer.get_extra_info("peercert")["subject"] == ((("commonName", "second"),),)
            peer.send(message())
            other.send(message("BYE"))
            await place.message(2)

    in_loop(play)


def test_what_cannot_be_used_changes_nothing_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Authority(tmp_path)
    own = here.issue("first", names=[NAME], to="own")
    credentials = Credentials(own.certificate, own.key)
    server, client = credentials.server, credentials.client
    key = Path(own.key).read_bytes()
    assert not credentials.refresh(0.0)
    for path, data in (
        (own.certificate, b"garbage"),
        (own.key, b"garbage"),
        (own.key, Path(here.issue("other").key).read_bytes()),
        (own.key, None),
    ):
        before = Path(path).read_bytes()
        Path(path).unlink()
        if data is not None:
            Path(path).write_bytes(data)
        assert [credentials.refresh(0.0) for _ in range(3)] == [False] * 3
        assert (credentials.server, credentials.client) == (server, client)
        assert capsys.readouterr().out.count("certificate not renewed") == 1
        Path(path).write_bytes(before)
        # The old ones again: they are read, and there is no harm in that.
        credentials.refresh(0.0)
        server, client = credentials.server, credentials.client
        capsys.readouterr()
    assert Path(own.key).read_bytes() == key
    assert here.issue("second", names=[NAME], to="own") == own
    assert credentials.refresh(0.0)
    assert credentials.server is not server


def test_what_could_not_be_read_once_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Authority(tmp_path)
    own = here.issue("first", names=[NAME], to="own")
    credentials = Credentials(own.certificate, own.key)
    here.issue("second", names=[NAME], to="own")

    def full(_credentials: Credentials) -> None:
        raise CredentialsError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Credentials, "_readable", full)
        assert [credentials.refresh(now) for now in (0.0, 2.0, 60.0, 62.0)] == [False] * 4
    assert capsys.readouterr().out.count("certificate not renewed") == 1
    assert [credentials.refresh(now) for now in (119.0, 120.0, 180.0)] == [False, True, False]


def test_a_key_that_may_be_read_now_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Authority(tmp_path)
    own = here.issue("first", names=[NAME], to="own")
    credentials = Credentials(own.certificate, own.key)
    here.issue("second", names=[NAME], to="own")
    with monkeypatch.context() as patch:
        # Who runs tests as root may read whatever its mode.
        patch.setattr(Credentials, "_readable", Mock(side_effect=CredentialsError("permission denied")))
        assert not credentials.refresh(0.0)
    os.chmod(own.key, 0o640)
    assert credentials.refresh(2.0)


def test_a_listener_that_nobody_has_come_to_yet_has_its_certificate_renewed_too(tmp_path: Path) -> None:
    here = Authority(tmp_path)
    own = here.issue("first", names=[NAME], to="own")

    async def play() -> None:
        async with Place("TLS", credentials=Credentials(own.certificate, own.key)) as place:
            before = place.listener.credentials and place.listener.credentials.server
            here.issue("second", names=[NAME], to="own")
            await place.wire.until(lambda: place.listener.credentials.server is not before)  # type: ignore[union-attr]

    in_loop(play)


def test_what_cannot_be_used_is_named_with_the_way_out(tmp_path: Path) -> None:
    here = Authority(tmp_path)
    own, other = here.issue("own"), here.issue("other")
    garbage, locked = tmp_path / "garbage", tmp_path / "locked.key"
    garbage.write_text("garbage")
    rsa = tmp_path / "rsa.key"
    key = generate_private_key(65537, 2048)
    rsa.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    for certificate, private, client_ca, reason in (
        ("none.pem", own.key, "", "certificate none.pem can't be read: No such file or directory"),
        (own.certificate, "none.key", "", "key none.key can't be read: No such file or directory"),
        (own.certificate, own.key, "none", "client_ca none can't be read: No such file or directory"),
        (own.certificate, str(rsa), "", f"key {rsa} does not belong to certificate {own.certificate}"),
        (own.certificate, other.key, "", f"key {other.key} does not belong to certificate {own.certificate}"),
        (str(garbage), own.key, "", f"certificate {garbage} holds no certificate; give a PEM file"),
        (own.certificate, str(garbage), "", f"key {garbage} holds no key that can be used"),
        (own.certificate, str(locked), "", f"key {locked} holds no key that can be used"),
        (own.certificate, own.key, str(garbage), f"client_ca {garbage} holds no certificate"),
    ):
        with pytest.raises(CredentialsError) as caught:
            Credentials(certificate, private, client_ca)
        assert caught.value.reason.startswith(reason)
