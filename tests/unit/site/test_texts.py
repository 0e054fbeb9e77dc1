"""The texts that configuration values are made of."""

from collections.abc import Callable

import pytest

from oneproxy.site import texts

ACCEPTED: list[tuple[Callable[[str], str], str, str]] = [
    (texts.host, "Example.COM", "example.com"),
    (texts.host, "localhost", "localhost"),
    (texts.host, "192.0.2.1", "192.0.2.1"),
    (texts.host, "2001:DB8::1", "2001:db8::1"),
    (texts.client, "GW.example.com", "gw.example.com"),
    (texts.client, "sip:gw@Example.com", "sip:gw@example.com"),
    (texts.client, "Gateway_7", "gateway_7"),
    (texts.address, "[::]:5060", "[::]:5060"),
    (texts.advertise, "sip.example.com", "sip.example.com"),
    (texts.advertise, "sip.example.com:5080", "sip.example.com:5080"),
    (texts.advertise, "[2001:db8::1]", "[2001:db8::1]"),
    (texts.advertise, "2001:db8::1", "2001:db8::1"),
    (texts.name_server, "192.0.2.53", "192.0.2.53:53"),
    (texts.name_server, "[::1]", "[::1]:53"),
    (texts.network, "192.0.2.1", "192.0.2.1"),
    (texts.network, "2001:db8::/32", "2001:db8::/32"),
    (texts.aor, "Alice@Example.com", "Alice@example.com"),
    (texts.aor, "+351210000000@example.com", "+351210000000@example.com"),
    (texts.sip_uri, "sip:198.51.100.10", "sip:198.51.100.10"),
    (
        texts.sip_uri,
        "sips:me@carrier.example:5061;transport=tls",
        "sips:me@carrier.example:5061;transport=tls",
    ),
    (texts.sip_uri, "sip:[2001:db8::1]:5060", "sip:[2001:db8::1]:5060"),
    (texts.database_url, "sqlite:////var/lib/oneproxy.db", "sqlite:////var/lib/oneproxy.db"),
    (texts.database_url, "postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
]

REFUSED: list[tuple[Callable[[str], str], str]] = [
    (texts.host, ""),
    (texts.host, "300.1.1.1"),
    (texts.host, "-example.com"),
    (texts.host, "exa mple.com"),
    (texts.host, "example.com."),
    (texts.host, "a" * 64),
    (texts.client, ""),
    (texts.client, "gate way"),
    (texts.client, "gate\nway"),
    (texts.client, "a" * 513),
    (texts.address, "127.0.0.1"),
    (texts.address, "127.0.0.1:0"),
    (texts.address, "127.0.0.1:65536"),
    (texts.address, "127.0.0.1:5060 "),
    (texts.address, "example.com:5060"),
    (texts.address, "::1:5060"),
    (texts.address, "[127.0.0.1]:5060"),
    (texts.address, "[::1]5060"),
    (texts.address, "224.0.1.75:5060"),
    (texts.address, "[ff02::1]:5060"),
    (texts.address, "[fe80::1%eth0]:5060"),
    (texts.advertise, ""),
    (texts.advertise, "0.0.0.0"),
    (texts.advertise, "[::]:5060"),
    (texts.advertise, "224.0.1.75"),
    (texts.advertise, "fe80::1%eth0"),
    (texts.advertise, "sip:example.com"),
    (texts.name_server, ""),
    (texts.name_server, "ns.example.com"),
    (texts.name_server, "192.0.2.53:0"),
    (texts.network, "10.0.0.1/8"),
    (texts.network, "10.0.0.0/33"),
    (texts.aor, "alice"),
    (texts.aor, "sip:alice@example.com"),
    (texts.aor, "@example.com"),
    (texts.aor, "alice@"),
    (texts.aor, "al ice@example.com"),
    (texts.sip_uri, "198.51.100.10"),
    (texts.sip_uri, "sip:198.51.100.10:0"),
    (texts.sip_uri, "sip:"),
    (texts.database_url, "sqlite://"),
    (texts.database_url, "sqlite:///"),
    (texts.database_url, "sqlite:///:memory:"),
    (texts.database_url, "mysql://h/d"),
    (texts.database_url, "oneproxy.db"),
    (texts.name, ""),
    (texts.name, "edge 1"),
    (texts.name, ".edge"),
    (texts.method, "invite"),
    (texts.farm_key, "1234567"),
    (texts.not_empty, ""),
    (texts.username, ""),
    (texts.username, "me\r\nVia: x"),
]


@pytest.mark.parametrize(("check", "written", "kept"), ACCEPTED)
def test_an_allowed_text_is_kept_in_its_one_form(
    check: Callable[[str], str], written: str, kept: str
) -> None:
    assert check(written) == kept


@pytest.mark.parametrize(("check", "written"), REFUSED)
def test_other_texts_are_refused(check: Callable[[str], str], written: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check(written)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("h", ("h", None)),
        ("h:1", ("h", 1)),
        ("[::1]", ("::1", None)),
        ("[::1]:65535", ("::1", 65_535)),
        ("::1", ("::1", None)),
    ],
)
def test_host_and_port_are_parted(written: str, parts: tuple[str, int | None]) -> None:
    assert texts.split_port(written) == parts
