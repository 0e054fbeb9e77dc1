"""A change checked with the entries that it may meet is found as sound as one checked with all."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.admin.relevant import Relevant
from oneproxy.site.change import Edit, check_edits
from oneproxy.site.difference import carry_out, differences
from oneproxy.site.entries import make_entries
from oneproxy.site.model import Entries

_USERS = st.sampled_from(["a", "b", "c", "d", "%61", "+35-1", "+351"])
_DOMAINS = st.sampled_from(["x.org", "y.org"])
_AORS = st.builds(lambda user, domain: f"{user}@{domain}", _USERS, _DOMAINS)
_ALIASES = st.lists(st.sampled_from([*"abcdef", "%62", "+3.51", "+351"]), max_size=2)


def _subscriber_table(aliases: list[str], more: dict[str, Any]) -> dict[str, Any]:
    return {"password": "p", "aliases": aliases} | more


_TABLES = st.one_of(
    st.none(),
    st.builds(
        _subscriber_table,
        _ALIASES,
        st.sampled_from(
            [{}, {}, {"password": 7}, {"aliases": "a"}, {"aliases": [7]}, {"aor": "d@y.org"}, {"aor": 1}]
        ),
    ),
)
_EDITS = st.lists(
    st.one_of(
        st.builds(lambda key, table: Edit("subscriber", key, table), _AORS, _TABLES),
        st.builds(
            lambda key, table: Edit("domain", key, table),
            _DOMAINS,
            st.sampled_from(
                [None, {}, {"aliases": ["z.org"]}, {"name": "y.org"}, {"name": 1}, {"max_contacts": 0}]
            ),
        ),
        st.sampled_from(
            [
                Edit("flood", "", {"ban_s": 9}),
                Edit("flood", "", None),
                Edit("access", "source ::/0", {"source": "::/0", "action": "deny"}),
                Edit("access", "source 0.0.0.0/0", {"source": "10.0.0.0/8", "action": "deny"}),
                Edit("access", "source 10.0.0.0/8", None),
                Edit("route", "1", {"prefix": "1", "provider": "p"}),
                Edit("route", "2", {"prefix": "2", "provider": "q"}),
                Edit("route", "1", {"prefix": "1", "callers": ["+1*"], "refuse": 403}),
                Edit("route", "new", {"prefix": "1", "order": 9, "callers": ["+2*"], "refuse": 403}),
                Edit("route", "2", {"prefix": "+1-2", "domain": "x.org"}),
                Edit("route", "3 4", {"prefix": "+1-2", "target": "sip:h"}),
                Edit("route", "2 2", None),
                Edit("route", "+12", None),
                Edit("route", "+12 2", {"prefix": "2", "target": "sip:h", "strip": "x"}),
                Edit("route", "1 x", {"prefix": "1", "target": "sip:h"}),
                Edit("route", "1 " + "9" * 5000, {"prefix": 1, "target": "sip:h"}),
                Edit("provider", "p", None),
                Edit("provider", "q", {"fallback": "p", "gateway": []}),
                Edit("provider", "q", {"fallback": "q"}),
                Edit("congestion", "", {"limit": [{"provider": "q", "calls": 1}]}),
                Edit("congestion", "", {"limit": [{"domain": "y.org", "calls": 1}]}),
                Edit("congestion", "", None),
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


_OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("domain", {"name": "x.org"}),
    ("domain", {"name": "y.org"}),
    ("access", {"source": "10.0.0.0/8", "action": "trust"}),
    ("provider", {"name": "p", "gateway": [{"name": "a", "uri": "sip:192.0.2.1"}]}),
    ("route", {"prefix": "2", "callers": ["+1*"], "provider": "p"}),
    ("route", {"prefix": "2", "callers": ["+2*"], "provider": "p"}),
    ("route", {"prefix": "2", "provider": "p"}),
    ("route", {"prefix": "+12", "aor": "a@x.org"}),
    ("congestion", {"limit": [{"provider": "p", "calls": 1}, {"domain": "x.org", "calls": 1}]}),
]


def _sound_site(wanted: dict[str, list[str]]) -> Entries:
    """A site of these subscribers, of which those whose names are taken are left out."""
    entries: Entries = make_entries(_OTHERS)
    for aor, aliases in wanted.items():
        found = check_edits(entries, [Edit("subscriber", aor, {"password": "p", "aliases": aliases})])
        entries = entries if isinstance(found, list) else found
    return entries


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(_AORS, _ALIASES, max_size=5),
    st.dictionaries(_AORS, _ALIASES, max_size=5),
    _EDITS,
)
def test_what_is_relevant_finds_the_same(
    before: dict[str, list[str]], then: dict[str, list[str]], edits: list[Edit]
) -> None:
    relevant = Relevant()
    first, entries = _sound_site(before), _sound_site(then)
    # By way of another site, so that what went is forgotten.
    relevant.take({}, [(*key, value) for key, value in first.items()])
    made = differences(first, entries)
    relevant.take(first, [(one.section, one.key, one.after or "") for one in made])
    some = relevant.find(entries, edits)
    assert some.items() <= entries.items()
    by_all, by_some = check_edits(entries, edits), check_edits(some, edits)
    if isinstance(by_all, list) or isinstance(by_some, list):
        assert isinstance(by_all, list) and isinstance(by_some, list)
        assert {one.text("site") for one in by_some} == {one.text("site") for one in by_all}
    else:
        assert carry_out(entries, differences(some, by_some)) == by_all
