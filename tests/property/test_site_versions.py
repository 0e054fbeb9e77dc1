"""Random series of changes of a site: each version reads back, differences carry over, all come back."""

import tomllib
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.site.change import check_entries
from oneproxy.site.difference import carry_out, differences, lines
from oneproxy.site.entries import digest, encode_value, make_entries, to_document
from oneproxy.site.export import to_toml
from oneproxy.site.model import Entries, Version
from oneproxy.store.database import Database
from oneproxy.store.site_rows import START
from oneproxy.store.sites import Sites, Written

BY = Version(0, 1.0, "carol", "")
# Few keys and values, so that they come and go and come back.
SITES = st.dictionaries(
    st.tuples(
        st.sampled_from(["domain", "subscriber", "access", "route"]), st.sampled_from("abcdé\U0001f600")
    ),
    st.sampled_from(['{"a":1}', '{"a":2}', '{"b":"é"}']),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SITES, min_size=1, max_size=8), st.data())
def test_every_version_reads_back_and_differences_lead_from_one_to_the_other(
    wanted: list[Entries], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        database = Database("system", f"sqlite:///{folder}/a.db")
        database.open()
        try:
            check_series(Sites(database), wanted, data)
        finally:
            database.drop()


def check_series(sites: Sites, wanted: list[Entries], data: st.DataObject) -> None:
    kept: list[Entries] = [{}]
    for entries in wanted:
        written = sites.replace(entries, BY)
        assert isinstance(written, Written)
        if entries != kept[-1]:
            kept.append(entries)
        assert written.version.version == len(kept) - 1
    numbers = st.integers(0, len(kept) - 1)
    assert [sites.entries(number) for number in range(len(kept))] == kept
    base, target = sorted((data.draw(numbers), data.draw(numbers)))
    assert carry_out(kept[base], differences(kept[base], kept[target])) == kept[target]
    assert carry_out(kept[target], differences(kept[target], kept[base])) == kept[base]
    assert follow(sites, kept[base], base, target) == kept[target]
    back = sites.roll_back(max(base, 1), BY) if len(kept) > 1 else None
    if back is not None:
        assert sites.entries(sites.latest().version) == kept[max(base, 1)]


def follow(sites: Sites, entries: Entries, base: int, target: int) -> Entries:
    """What a node makes of the pages that it is sent."""
    followed = {} if base == 0 else dict(entries)
    after, page = START, [("", "", "")] * 2
    while len(page) == 2:
        page = sites.page(base, target, after, 2)
        for section, key, value in page:
            after = (section, key)
            followed.pop(after, None)
            if value:
                followed[after] = value
    return followed


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
USER = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: text.isprintable() and not set(text) & set(' @:;<>"')
)


@settings(deadline=None)
@given(
    st.lists(USER, unique_by=str.lower, min_size=1, max_size=4),
    TEXT.filter(str.isprintable),
    TEXT,
    st.integers(1, 5),
)
def test_what_is_exported_reads_back_without_a_difference(
    users: list[str], username: str, password: str, routes: int
) -> None:
    register = {"aor": "sip:me@h", "username": username, "password": password}
    gateway = {"name": "a1", "uri": "sip:198.51.100.10:5060", "register": register}
    tables: list[tuple[str, Mapping[str, Any]]] = [
        ("domain", {"name": "x.org", "algorithms": ["SHA-256", "MD5"], "redirect": True}),
        *(("subscriber", {"aor": f"{user}@x.org", "ha1": {"MD5": "0" * 32}}) for user in users),
        ("provider", {"name": "p", "gateway": [gateway, {"name": "a2", "uri": "sip:h"}]}),
        *(
            ("route", {"prefix": "+", "target": f"sip:h{number}", "callers": [f"+{number}*"]})
            for number in range(routes)
        ),
        (
            "congestion",
            {
                "period_s": 0.25,
                "retry_after_s": [1, 2],
                "limit": [{"caller": "*", "calls": 3}, {"domain": "x.org", "max_calls": 2}],
            },
        ),
    ]
    entries = make_entries(tables)
    document = tomllib.loads("\n".join(to_toml(entries)))
    assert document == to_document(entries)
    assert check_entries(entries) == entries
    assert digest(check_entries(entries)) == digest(dict(reversed(entries.items())))  # type: ignore[arg-type]
    assert password not in "".join(lines(differences({}, entries))) or len(password) < 8


def test_routes_of_one_prefix_keep_their_order() -> None:
    routes = [("route", {"prefix": "1", "target": f"sip:h{number}"}) for number in range(12)]
    entries = make_entries(routes)
    assert [one["target"] for one in to_document(entries)["route"]] == [f"sip:h{n}" for n in range(12)]


def test_a_key_of_every_kind_is_exported_as_it_is() -> None:
    odd = "".join(map(chr, [*range(0x20, 0x7F), 0x85, 0xA0, 0x202E, 0xFEFF, 0x1F600]))
    value = encode_value({"name": "p", "note": "".join(map(chr, range(0x20))) + odd})
    document = tomllib.loads("\n".join(to_toml({("provider", "p"): value})))
    assert document == {"provider": [{"name": "p", "note": "".join(map(chr, range(0x20))) + odd}]}
