"""Entries as they are shown to people."""

import pytest

from oneproxy.admin.public import shown_table, without_secrets
from oneproxy.site.entries import encode_value


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("sip:me:pw@carrier.example", "sip:me:***@carrier.example"),
        ("SIPS:me:p@w@carrier.example", "SIPS:me:***@carrier.example"),
        ("sip:198.51.100.10:5060", "sip:198.51.100.10:5060"),
        # What is shown is written back: a header line is no URI with a password.
        ("Diversion: <sip:{called}@example.com:5060>", "Diversion: <sip:{called}@example.com:5060>"),
        ("X-A: <sip:a@h>, <sip:b:pw@h>", "X-A: <sip:a@h>, <sip:b:***@h>"),
        ("alice@example.com", "alice@example.com"),
    ],
)
def test_passwords_in_uris_are_not_shown_and_all_else_is(written: str, shown: str) -> None:
    assert without_secrets({"add": [written]}) == {"add": [shown]}


def test_a_route_is_shown_as_it_stands() -> None:
    table = {"prefix": "1", "target": "sip:me:pw@h", "add": ["X-Account: <sip:{caller}@h>"]}
    assert shown_table("route", encode_value(table)) == table | {"target": "sip:me:***@h"}
