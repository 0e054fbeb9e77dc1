"""What differs, in words that hold no secret."""

from oneproxy.site.difference import differences, lines, shown, summary
from oneproxy.site.entries import encode_value
from oneproxy.site.model import Entries


def entries(**tables: dict[str, object]) -> Entries:
    return {(name, "k"): encode_value(table) for name, table in tables.items()}


def said(before: dict[str, object], after: dict[str, object]) -> list[str]:
    return list(lines(differences(entries(x=before), entries(x=after))))


def test_entries_that_come_and_go_are_named() -> None:
    found = differences(entries(a={}, b={}, c={"q": 1}), entries(b={}, c={"q": 2}, d={}))
    assert list(lines(found)) == ["- a k", "~ c k: q 1 -> 2", "+ d k"]
    assert summary(found) == "1 added, 1 changed, 1 removed"
    assert summary([]) == "nothing differs"


def test_values_are_shown_with_what_they_were() -> None:
    assert said({"a": [1], "b": "x"}, {"b": "y", "c": True}) == [
        '~ x k: b "x" -> "y"; c default -> true; a [1] -> default'
    ]
    assert said({"a": {"b": 1}}, {"a": {"b": 2}}) == ["~ x k: a.b 1 -> 2"]
    assert said({"a": "x"}, {"a": "y" * 100}) == [f'~ x k: a "x" -> "{"y" * 59}...']


def test_secrets_are_not_shown() -> None:
    for key in ("ha1", "password"):
        assert said({key: "hush"}, {key: "hash"}) == [f"~ x k: {key} changed"]
    gateway = {"name": "a", "register": {"password": "hush", "username": "u"}}
    assert said({"gateway": [gateway]}, {"gateway": []}) == ["~ x k: gateway changed"]
    assert said({"register": {"password": "hush"}}, {"register": {"password": "hash"}}) == [
        "~ x k: register changed"
    ]
    assert said({"uri": "sip:me:hush@h"}, {"uri": "sip:h"}) == ["~ x k: uri changed"]
    assert said({"uri": "sip:me@h:5060"}, {"uri": "sip:h"}) == ['~ x k: uri "sip:me@h:5060" -> "sip:h"']


def test_nothing_moves_the_cursor() -> None:
    assert said({"a": "\x1b[2J"}, {"a": "\u202e"}) == ['~ x k: a "\\u001b[2J" -> "\\u202e"']
    assert (shown("a\x1b"), shown("é")) == ("a\\u001b", "é")
