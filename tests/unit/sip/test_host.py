"""Hosts and ports."""

import pytest

from oneproxy.sip.host import format_host, parse_hostport, parse_port


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("1", 1),
        ("5060", 5060),
        ("65535", 65535),
        ("05060", 5060),
        ("0", None),
        ("65536", None),
        ("005060", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("\u0661", None),
        ("\xb2", None),
    ],
)
def test_a_port_is_1_to_65535_in_ascii_digits(written: str, port: int | None) -> None:
    assert parse_port(written) == port


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("example.com", ("example.com", None)),
        ("EXAMPLE.com:5060", ("example.com", 5060)),
        ("example.com.", ("example.com.", None)),
        ("build_1-a", ("build_1-a", None)),
        ("192.0.2.1:5080", ("192.0.2.1", 5080)),
        ("[2001:DB8::1]", ("2001:db8::1", None)),
        ("[2001:db8::1]:5061", ("2001:db8::1", 5061)),
        ("[::ffff:192.0.2.1]", ("::ffff:192.0.2.1", None)),
        ("[2001:db8:::192.0.2.1]", ("2001:db8::192.0.2.1", None)),
        ("", None),
        (":5060", None),
        ("example.com:", None),
        ("example.com:5060:5061", None),
        ("example..com", None),
        (".example.com", None),
        ("exa mple.com", None),
        ("ex\xe4mple.com", None),
        ("2001:db8::1", None),
        ("[]", None),
        ("[", None),
        ("]", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]5060", None),
        ("[2001:db8::1]:", None),
        ("[example.com]", None),
        ("[1::2::3]", None),
        ("[fe80::1%eth0]", None),
    ],
)
def test_a_host_and_its_port_are_read_or_refused(written: str, found: tuple[str, int | None] | None) -> None:
    assert parse_hostport(written) == found


def test_only_an_ipv6_address_is_put_into_brackets() -> None:
    assert [format_host(host) for host in ("192.0.2.1", "a.example", "::1")] == [
        "192.0.2.1",
        "a.example",
        "[::1]",
    ]
