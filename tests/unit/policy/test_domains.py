"""Whose a URI is."""

import pytest

from asking import uri_of
from oneproxy.policy.domains import Domains, names_of
from oneproxy.site.model import Domain, Site

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


def test_other_names_of_a_domain_stand_for_it() -> None:
    served = {"example.com": Domain("example.com", aliases=("example.org", "pbx.local"))}
    assert names_of(served) == ["example.com", "example.org", "pbx.local"]
    domains = Domains(served, OWN)
    for host in ("example.com", "EXAMPLE.org", "pbx.local"):
        assert found(domains, f"sip:bob@{host}") == ("example.com", "bob@example.com")
        assert domains.is_here(uri_of(f"sip:bob@{host}"))
        assert domains.is_node(uri_of(f"sip:{host}"))
    claimed = domains.claimed(uri_of("sip:bob@example.org:7777"))
    assert claimed is not None
    assert claimed[1] == "bob@example.com"


ALIASES = {
    "info@example.com": "bob@example.com",
    "+35121123@example.com": "bob@example.com",
    "7042@open.org": "carol@open.org",
}


@pytest.mark.parametrize(
    ("uri", "aor"),
    [
        ("sip:info@example.com", "bob@example.com"),
        ("sip:%69nfo@example.com", "bob@example.com"),
        ("sip:+351-21-123@example.com", "bob@example.com"),
        ("sip:21-123;phone-context=+351@example.com;user=phone", "bob@example.com"),
        ("sip:70-42@open.org;user=phone", "carol@open.org"),
        ("sip:70-42@open.org", "70-42@open.org"),
        ("sip:alice@open.org;user=phone", "alice@open.org"),
        ("sip:%61lice@open.org;user=phone", "alice@open.org"),
        ("sip:info@open.org", "info@open.org"),
        ("sip:+35121999@example.com", "+35121999@example.com"),
    ],
)
def test_other_names_of_a_user_stand_for_the_user(uri: str, aor: str) -> None:
    served = Domains(TWO, OWN, ALIASES).find(uri_of(uri))
    assert served is not None
    assert served[1] == aor


def test_an_alias_that_comes_later_counts_from_then_on() -> None:
    aliases: dict[str, str] = {}
    domains = Domains(ONE, OWN, aliases)
    assert found(domains, "sip:info@example.com") == ("example.com", "info@example.com")
    aliases["info@example.com"] = "bob@example.com"
    assert found(domains, "sip:info@example.com") == ("example.com", "bob@example.com")


@pytest.mark.parametrize(
    ("uri", "caller", "aor"),
    [
        ("tel:+351-21-123", None, None),
        ("tel:+351-21-123", "sip:alice@example.com", "bob@example.com"),
        ("tel:+351-21-123", "sip:alice@open.org", "+35121123@open.org"),
        ("tel:+351-21-123", "sip:alice@elsewhere.org", None),
        ("tel:70-42;phone-context=Open.org", "sip:alice@example.com", "carol@open.org"),
        ("tel:70-42;phone-context=elsewhere.org", "sip:alice@open.org", "carol@open.org"),
        ("tel:21-123;phone-context=+351", "sip:alice@example.com", "bob@example.com"),
    ],
)
def test_a_number_without_a_domain_is_of_its_context_or_of_its_caller(
    uri: str, caller: str | None, aor: str | None
) -> None:
    """RFC 3966 5.1.5."""
    by = None if caller is None else uri_of(caller)
    served = Domains(TWO, OWN, ALIASES).find_number(uri_of(uri), by)
    assert (None if served is None else served[1]) == aor


def test_a_number_without_a_domain_is_of_the_only_domain() -> None:
    served = Domains(ONE, OWN, ALIASES).find_number(uri_of("tel:+351.21.123"), uri_of("sip:a@elsewhere.org"))
    assert served is not None
    assert served[1] == "bob@example.com"


def test_a_local_number_is_the_user_that_exists() -> None:
    domains = Domains(ONE, OWN, {}, {"21123@example.com"})
    served = domains.find(uri_of("sip:21-123;phone-context=+351@example.com;user=phone"))
    assert served is not None
    assert served[1] == "21123@example.com"


def test_a_site_that_changed_is_decided_by_from_then_on() -> None:
    domains = Domains(ONE, OWN)
    domains.take(Site({"open.org": Domain("open.org", aliases=("open.net",))}, {}))
    assert found(domains, "sip:bob@example.com") is None
    assert found(domains, "sip:bob@open.net") == ("open.org", "bob@open.org")
    assert found(domains, "sip:bob@192.0.2.1") == ("open.org", "bob@open.org")


NUMBERED = {"alice@example.com", "+351211@example.com", "7042@open.org"}


@pytest.mark.parametrize(
    ("uri", "claimed"),
    [
        ("tel:+351-211", ("example.com", "+351211@example.com")),
        ("tel:211;phone-context=+351", ("example.com", "+351211@example.com")),
        ("tel:+35130", ("example.com", "alice@example.com")),
        ("tel:7042", ("open.org", "7042@open.org")),
        ("tel:7042;phone-context=open.org", ("open.org", "7042@open.org")),
        ("tel:7042;phone-context=Example.com.", ("example.com", "7042@example.com")),
        ("tel:+12025550123", None),
        ("tel:7042;phone-context=+1", ("open.org", "7042@open.org")),
        ("tel:9;phone-context=elsewhere.org", None),
    ],
)
def test_a_number_that_is_somebodys_is_claimed_by_who_calls_with_it(
    uri: str, claimed: tuple[str, str] | None
) -> None:
    domains = Domains(TWO, OWN, {"+35130@example.com": "alice@example.com"}, NUMBERED)
    found = domains.claimed(uri_of(uri))
    assert (None if found is None else (found[0].name, found[1])) == claimed


@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@[2001:db8:0::1]",
        "sip:bob@[2001:DB8:0:0:0:0:0:1]:99",
        "sip:bob@[::ffff:192.0.2.1]",
        "sip:bob@192.0.2.1.",
    ],
)
def test_an_address_is_claimed_in_every_spelling(uri: str) -> None:
    served = Domains({"2001:db8::1": Domain("2001:db8::1"), "192.0.2.1": Domain("192.0.2.1")}, set())
    found = served.claimed(uri_of(uri))
    assert found is not None
    assert found[1] == f"bob@{found[0].name}"
    own = Domains(ONE, OWN).claimed(uri_of(uri))
    assert own is not None
    assert own[1] == "bob@example.com"
