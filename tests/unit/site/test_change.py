"""Changes of some entries: what becomes of them, and the mistakes in them, named by key."""

from typing import Any

import pytest

from oneproxy.site.change import Edit, check_edits
from oneproxy.site.entries import decode_value, make_entries
from oneproxy.site.model import Entries

SITE = make_entries(
    [
        ("domain", {"name": "x.org", "aliases": ["z.org"]}),
        ("subscriber", {"aor": "a@x.org", "ha1": {"MD5": 32 * "0"}, "aliases": ["100"]}),
        ("subscriber", {"aor": "b@x.org", "ha1": {"MD5": 32 * "0"}}),
        ("access", {"source": "10.0.0.0/8", "action": "deny"}),
    ]
)


def changed(*edits: Edit) -> Entries:
    found = check_edits(SITE, edits)
    assert not isinstance(found, list)
    return found


def mistakes(*edits: Edit) -> list[str]:
    found = check_edits(SITE, edits)
    assert isinstance(found, list)
    return sorted(one.text("site") for one in found)


def test_edits_put_tables_in_place_of_others_and_keep_no_password() -> None:
    found = changed(
        Edit("subscriber", "c@x.org", {"password": "sesame"}),
        Edit("subscriber", "a@x.org", None),
        Edit("domain", "x.org", {"redirect": True}),
    )
    assert set(found) == {
        ("domain", "x.org"),
        ("subscriber", "b@x.org"),
        ("subscriber", "c@x.org"),
        ("access", "source 10.0.0.0/8"),
    }
    assert decode_value(found["domain", "x.org"]) == {"name": "x.org", "redirect": True}
    assert "sesame" not in str(found)


def test_mistaken_edits_are_named_by_key() -> None:
    assert mistakes(
        Edit("subscriber", "c@y.org", {"password": "p", "aliases": ["a b"]}),
        Edit("domain", "x.org", {"max_contacts": 0}),
    ) == [
        "site: domain.x.org.max_contacts: found 0; allowed a whole number from 1 to 1000",
        'site: subscriber.c@y.org.aliases[1]: found "a b"; allowed a user such as "info" or '
        '"+351211234567", without a domain',
        'site: subscriber.c@y.org.aor: found the domain "y.org"; allowed a domain that has a [[domain]] '
        "table (x.org)",
    ]
    assert mistakes(Edit("subscribers", "b", {}), Edit("domain", "y.org", None)) == [
        "site: domain.y.org: found no such entry; allowed one that is there to be removed",
        "site: subscribers.b: found an unknown section; allowed access, cdr, congestion, domain, flood, "
        "provider, registrar, route, subscriber",
    ]


@pytest.mark.parametrize(
    ("section", "key", "table", "line"),
    [
        (
            "subscriber",
            "b@x.org",
            {"password": "p", "aliases": ["100"]},
            'subscriber.b@x.org.aliases[1]: found "100", which is an alias in subscriber.a@x.org; '
            "allowed a user that nobody else has",
        ),
        (
            "subscriber",
            "c@x.org",
            {"password": "p", "aor": "b@x.org"},
            'subscriber.c@x.org.aor: found "b@x.org" again; allowed once; it stands in subscriber.b@x.org',
        ),
        (
            "domain",
            "y.org",
            {"aliases": ["z.org"]},
            'domain.y.org.aliases[1]: found "z.org", which is an alias in domain.x.org; '
            "allowed a name that no other domain has",
        ),
        (
            "access",
            "source 10.0.0.0/8 2",
            {"source": "10.0.0.0/8", "action": "trust"},
            'access.source 10.0.0.0/8 2.source: found "10.0.0.0/8" again; allowed one rule; '
            "it stands in access.source 10.0.0.0/8",
        ),
    ],
)
def test_the_other_one_is_named_by_its_key_too(
    section: str, key: str, table: dict[str, Any], line: str
) -> None:
    """Its number in a list that nobody sees would help nobody."""
    assert mistakes(Edit(section, key, table)) == [f"site: {line}"]
