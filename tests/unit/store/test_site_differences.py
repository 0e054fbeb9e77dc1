"""What differs between any two versions, read from the database, against what it is worked out to be."""

import random
from collections.abc import Iterator

import pytest

from oneproxy.site.difference import Difference, carry_out, differences
from oneproxy.site.entries import encode_value
from oneproxy.site.model import Entries, Version
from oneproxy.store.database import Database
from oneproxy.store.site_rows import START
from oneproxy.store.sites import Sites, Stale, Written

BY = Version(0, 1_700_000_000.0, "carol", "because")


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    made = Database("system", database_url)
    made.open()
    yield Sites(made)
    made.drop()


def some_site(chance: random.Random) -> Entries:
    """Some of a few entries, each with one of a few values."""
    names = [f"d{number}.org" for number in range(8)]
    return {
        ("domain", name): encode_value({"name": name, "max_contacts": chance.randrange(3)})
        for name in names
        if chance.random() < 0.6
    }


def all_pages(sites: Sites, of: int, to: int, rows: int) -> list[Difference]:
    found: list[Difference] = []
    after = START
    while True:
        page = sites.differing(of, to, after, rows)
        found += page
        if len(page) < rows:
            return found
        after = (page[-1].section, page[-1].key)


@pytest.mark.parametrize("seed", range(5))
def test_what_differs_between_any_two_versions_makes_one_of_the_other(sites: Sites, seed: int) -> None:
    chance = random.Random(seed)
    versions: list[Entries] = [{}]
    while len(versions) < 7:
        wanted = some_site(chance)
        if wanted != versions[-1]:
            sites.replace(wanted, BY)
            versions.append(wanted)
    for of, before in enumerate(versions):
        for to, after in enumerate(versions):
            found = all_pages(sites, of, to, rows=3)
            assert found == differences(before, after)
            assert carry_out(before, found) == after


def test_a_version_is_written_of_what_differs_and_of_the_newest_alone(sites: Sites) -> None:
    first = [Difference("domain", "a.org", None, "{}")]
    written = sites.write(0, first, BY)
    assert isinstance(written, Written)
    assert (written.version.version, written.version.who, written.version.at) == (1, "carol", BY.at)
    assert sites.write(0, first, BY) == Stale(1)
    second = [Difference("domain", "a.org", "{}", None), Difference("domain", "b.org", None, "{}")]
    assert isinstance(sites.write(1, second, BY), Written)
    assert sites.entries(2) == {("domain", "b.org"): "{}"}
    unchanged = sites.write(2, [], BY)
    assert isinstance(unchanged, Written)
    assert unchanged.version.version == 2
