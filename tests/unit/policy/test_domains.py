"""Whose a URI is."""

import pytest

from asking import uri_of
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain

ONE = {"example.com": Domain("example.com")}
TWO = ONE | {"open.org": Domain("open.org")}
OWN = {
    "192.0.2.1:5080",
    "192.0.2.1",
    "[2001:db8::1]:5080",
    "2001:db8::1",
    "sip.example.com:5080",
    "sip.example.com",
}


def found(domains: Domains, uri: str) -> tuple[str, str] | None:
    served = domains.find(uri_of(uri))
    return None if served is None else (served[0].name, served[1])


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@example.com",
        "sips:bob@EXAMPLE.com",
        "sip:%62ob@example.com;user=phone",
        "sip:bob:password@example.com",
        "sip:bob@example.com:5080",
        "sip:bob@example.com:5060",
    ],
)
def test_a_user_of_a_served_domain_is_found_under_one_address(uri: str) -> None:
    assert found(Domains(TWO, OWN), uri) == ("example.com", "bob@example.com")


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@elsewhere.org",
        "sip:bob@sub.example.com",
        "sip:bob@example.com:7777",
        "tel:+12025550123",
        "mailto:bob@example.com",
    ],
)
def test_what_is_not_served_is_not_found(uri: str) -> None:
    assert found(Domains(TWO, OWN), uri) is None


@pytest.mark.parametrize(
    "uri",
    ["sip:bob@192.0.2.1:5080", "sip:bob@192.0.2.1", "sip:bob@[2001:DB8::1]:5080", "sip:bob@sip.example.com"],
)
def test_the_own_address_stands_for_the_only_domain(uri: str) -> None:
    assert found(Domains(ONE, OWN), uri) == ("example.com", "bob@example.com")
    assert found(Domains(TWO, OWN), uri) is None


def test_a_phone_at_another_port_of_this_machine_is_not_served() -> None:
    assert found(Domains(ONE, OWN), "sip:bob@192.0.2.1:5060") is None
    local = Domains({"192.0.2.1": Domain("192.0.2.1")}, OWN)
    assert found(local, "sip:bob@192.0.2.1:5060") is None
    assert found(local, "sip:bob@192.0.2.1:5080") == ("192.0.2.1", "bob@192.0.2.1")


def test_a_domain_may_be_an_ipv6_address() -> None:
    domains = Domains({"[2001:db8::1]": Domain("[2001:db8::1]")}, OWN)
    assert found(domains, "sip:bob@[2001:db8::1]") == ("[2001:db8::1]", "bob@[2001:db8::1]")


def test_a_uri_without_a_user_is_the_domain_itself() -> None:
    assert found(Domains(ONE, OWN), "sip:example.com") == ("example.com", "example.com")


def test_an_escaped_nul_cuts_no_name_short() -> None:
    assert found(Domains(ONE, OWN), "sip:bob%00@example.com") == ("example.com", "bob%00@example.com")


@pytest.mark.parametrize(
    ("uri", "aor"),
    [
        ("sip:bob@example.com:7777", "bob@example.com"),
        ("sip:bob@example.com.", "bob@example.com"),
        ("sip:bob@192.0.2.1", "bob@example.com"),
        ("sip:bob@elsewhere.org", None),
        ("sip:bob@192.0.2.1:9999", None),
    ],
)
def test_a_caller_claims_a_domain_whatever_the_port(uri: str, aor: str | None) -> None:
    claimed = Domains(ONE, OWN).claimed(uri_of(uri))
    assert (None if claimed is None else claimed[1]) == aor


@pytest.mark.parametrize(
    ("uri", "is_node", "is_here"),
    [
        ("sip:example.com", True, True),
        ("sip:192.0.2.1:5080;lr", True, True),
        ("sip:192.0.2.1", True, True),
        ("sip:token@192.0.2.1:5080;lr", False, True),
        ("sip:bob@example.com", False, True),
        ("sip:192.0.2.1:5060", False, False),
        ("sip:example.com:7777", False, False),
        ("sip:elsewhere.org", False, False),
        ("tel:+12025550123", False, False),
    ],
)
def test_a_uri_may_name_this_node(uri: str, is_node: bool, is_here: bool) -> None:
    domains = Domains(TWO, OWN)
    assert (domains.is_node(uri_of(uri)), domains.is_here(uri_of(uri))) == (is_node, is_here)
