"""The site on its way to the nodes: what differs, in parts, and whole where histories differ."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from oneproxy.ipc.messages import Follow, FromRecorder, SitePart, SiteVersion
from oneproxy.ipc.stream import Decoder
from oneproxy.site import last
from oneproxy.site.last import LastSite
from oneproxy.site.model import Entries, Key, Row, Version
from oneproxy.sitefeed import AGAIN_S, Feed, Kept
from oneproxy.store.database import Database, StoreError
from oneproxy.store.site_rows import NOTHING
from oneproxy.store.sites import PART, Sites
from waiting import until

BY = Version(0, 5.0, "carol", "")


def site(*names: str) -> Entries:
    return {("subscriber", name): "{}" for name in names}


class Node:
    """What the feed knows of a node's connection, and what came over it."""

    def __init__(self) -> None:
        self.writable = True
        self.has: Entries = {}
        self.came: list[FromRecorder] = []
        self._decoder = Decoder[FromRecorder](FromRecorder)

    def send(self, frame: bytes) -> None:
        self.came += self._decoder.feed(frame)

    def versions(self) -> list[SiteVersion]:
        return [one for one in self.came if isinstance(one, SiteVersion)]

    def rows(self) -> list[Row]:
        return [row for one in self.came if isinstance(one, SitePart) for row in one.entries]


class Stage:
    """A feed, with the time in the test's hand."""

    def __init__(self, source: Any) -> None:
        self.feed = Feed(source, self.in_thread)
        self.now = 0.0
        self.between: Callable[[], None] | None = None

    async def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        found = call(*arguments)
        if self.between is not None:
            between, self.between = self.between, None
            between()
        return found

    def follow(self, version: int = 0, at: float = 0.0) -> Node:
        node = Node()
        self.feed.follows(node, Follow(version, at))  # type: ignore[arg-type]
        return node

    def run(self) -> None:
        """Do all that is to be done now."""

        async def work() -> None:
            # Once at least: time may have come.
            await self.feed.work(self.now)
            while self.feed.wake_at(self.now) <= self.now:
                await self.feed.work(self.now)

        asyncio.run(work())


@pytest.fixture
def sites(tmp_path: Path) -> Any:
    database = Database("system", f"sqlite:///{tmp_path}/a.db")
    database.open()
    yield Sites(database)
    database.drop()


def test_a_node_that_knows_nothing_gets_all_in_parts_of_bounded_size(sites: Sites) -> None:
    names = [f"u{number:04d}" for number in range(2 * PART + 1)]
    sites.replace(site(*names), BY)
    stage = Stage(sites)
    node = stage.follow()
    stage.run()
    parts = [one for one in node.came if isinstance(one, SitePart)]
    assert [(len(one.entries), one.first) for one in parts] == [(PART, True), (PART, False), (1, False)]
    assert node.came[-1:] == node.versions() == [SiteVersion(1, 5.0, True)]
    assert [name for _, name, _ in node.rows()] == names


def test_where_there_is_no_site_a_node_is_told_so(sites: Sites) -> None:
    stage = Stage(sites)
    node = stage.follow()
    with capture_logs() as logged:
        stage.run()
    assert node.came == [SitePart([], True), SiteVersion(0, 0.0, True)]
    assert [event["event"] for event in logged] == ["no site"]


def test_a_new_version_is_noticed_and_what_differs_is_sent(sites: Sites) -> None:
    sites.replace(site("a", "b"), BY)
    stage = Stage(sites)
    nodes = [stage.follow(), stage.follow()]
    stage.run()
    sites.replace(site("b", "c"), BY)
    for node in nodes:
        node.came.clear()
    stage.run()
    assert [node.came for node in nodes] == [[], []]
    stage.now += stage.feed.look_s
    stage.run()
    wanted = [
        SitePart([("subscriber", "a", ""), ("subscriber", "c", "{}")], True),
        SiteVersion(2, 5.0, False),
    ]
    assert [node.came for node in nodes] == [wanted, wanted]


def test_a_notice_is_looked_at_at_once(sites: Sites) -> None:
    stage = Stage(sites)
    node = stage.follow()
    stage.run()
    sites.replace(site("a"), BY)
    stage.feed.heard()
    stage.run()
    assert [one.version for one in node.versions()] == [0, 1]


def test_a_node_that_comes_back_gets_what_differs_or_nothing(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    sites.replace(site("a", "b"), BY)
    stage = Stage(sites)
    late, same = stage.follow(1, 5.0), stage.follow(2, 5.0)
    stage.run()
    assert (late.rows(), late.versions()) == ([("subscriber", "b", "{}")], [SiteVersion(2, 5.0, False)])
    assert same.came == []


def test_versions_that_are_too_many_are_forgotten_and_a_node_that_has_one_of_these_gets_all(
    tmp_path: Path,
) -> None:
    database = Database("system", f"sqlite:///{tmp_path}/a.db")
    database.open()
    sites = Sites(database, keep=2)
    for number in range(1, 6):
        sites.replace(site(f"u{number}", "same"), Version(0, 10_000.0 * number, "carol", ""))
    stage = Stage(sites)
    first = stage.follow()
    stage.run()
    assert [one.version for one in sites.versions(9)] == [5, 4]
    late, later = stage.follow(2, 20_000.0), stage.follow(4, 40_000.0)
    stage.run()
    assert late.rows() == first.rows() == [("subscriber", "same", "{}"), ("subscriber", "u5", "{}")]
    assert (late.versions()[0].whole, later.versions()[0].whole) == (True, False)
    assert later.rows() == [("subscriber", "u4", ""), ("subscriber", "u5", "{}")]
    database.drop()


@pytest.mark.parametrize(("version", "at"), [(1, 4.0), (9, 5.0)])
def test_a_node_with_a_version_of_another_history_gets_all(sites: Sites, version: int, at: float) -> None:
    """As after a database was restored from a copy."""
    sites.replace(site("a"), BY)
    sites.replace(site("a", "b"), BY)
    stage = Stage(sites)
    node = stage.follow(version, at)
    stage.run()
    assert (len(node.rows()), node.versions()) == (2, [SiteVersion(2, 5.0, True)])


def test_a_version_that_comes_while_another_is_sent_follows_it(sites: Sites) -> None:
    names = [f"u{number:04d}" for number in range(PART + 1)]
    sites.replace(site(*names), BY)
    stage = Stage(sites)
    node = stage.follow()

    def change() -> None:
        sites.replace(site("other"), BY)
        stage.feed.heard()

    stage.between = change
    stage.run()
    assert [(one.version, one.whole) for one in node.versions()] == [(1, True), (2, False)]
    first = [
        row for one in node.came[: node.came.index(node.versions()[0])] for row in getattr(one, "entries", [])
    ]
    assert [name for _, name, _ in first] == names


def test_a_node_that_takes_nothing_more_waits_and_the_others_do_not(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    stage = Stage(sites)
    stuck, well = stage.follow(), stage.follow()
    stuck.writable = False
    stage.run()
    assert (stuck.came, len(well.versions())) == ([], 1)
    stuck.writable = True
    stage.run()
    assert len(stuck.versions()) == 1


def test_a_node_that_leaves_while_it_is_sent_something_is_sent_nothing_more(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    stage = Stage(sites)
    node = stage.follow()
    stage.run()
    sites.replace(site("b"), BY)
    stage.feed.heard()
    node.came.clear()
    stage.between = lambda: stage.feed.left(node)  # type: ignore[arg-type]
    stage.run()
    assert node.came == []


class Away:
    """A database that is away."""

    def look(self) -> Version:
        raise StoreError("it is away")

    def find(self, version: int) -> Version | None:
        raise StoreError("it is away")

    def page(self, base: int, version: int, after: Key, rows: int) -> list[Row]:
        raise StoreError("it is away")


def test_a_database_that_is_away_is_tried_again(sites: Sites) -> None:
    sites.replace(site("a"), BY)
    stage = Stage(Away())
    node = stage.follow()
    with capture_logs() as logged:
        stage.run()
    assert [(event["event"], event["reason"]) for event in logged] == [("site not read", "it is away")]
    assert stage.feed.wake_at(stage.now) == AGAIN_S
    stage.feed.source = sites
    stage.now = AGAIN_S
    stage.run()
    assert len(node.versions()) == 1


def test_the_last_site_known_is_served_and_what_the_database_has_more_follows(sites: Sites) -> None:
    sites.replace(site("a", "b"), BY)
    kept = LastSite(Version(1, 5.0), b"", [("subscriber", "a", "{}"), ("subscriber", "b", "{}")])
    stage = Stage(Kept(kept))
    node, other = stage.follow(), stage.follow(7, 1.0)
    stage.run()
    assert [node.rows(), other.rows()] == [kept.rows, kept.rows]
    assert node.versions() == [SiteVersion(1, 5.0, True)]
    sites.replace(site("a", "c"), BY)
    stage.feed.begin_anew(sites, 1.0)
    node.came.clear()
    stage.run()
    assert node.rows() == [("subscriber", "b", ""), ("subscriber", "c", "{}")]
    assert node.versions() == [SiteVersion(2, 5.0, False)]


def test_every_version_is_kept_in_the_file(sites: Sites, tmp_path: Path) -> None:
    path = str(tmp_path / "last")

    def kept(version: int) -> bool:
        head = last.read_head(path)
        return head is not None and head.version == version

    async def scene() -> list[LastSite | str]:
        found = []
        stage = Stage(sites)
        keeping = asyncio.create_task(stage.feed.keep(path, b"hush"))
        for names in (["a"], ["a", "b"]):
            sites.replace(site(*names), BY)
            stage.feed.heard()
            await stage.feed.work(0.0)
            await until(partial(kept, len(names)))
            found.append(last.read(path))
        keeping.cancel()
        await asyncio.wait([keeping])
        return found

    first, second = asyncio.run(scene())
    assert first == LastSite(Version(1, 5.0), b"hush", [("subscriber", "a", "{}")])
    assert isinstance(second, LastSite)
    assert [row[1] for row in second.rows] == ["a", "b"]


def test_a_disk_that_is_full_is_a_warning(sites: Sites, tmp_path: Path) -> None:
    sites.replace(site("a"), BY)

    async def scene() -> None:
        stage = Stage(sites)
        await stage.feed.work(0.0)
        keeping = asyncio.create_task(stage.feed.keep("/dev/full/last", b"hush"))
        await until(lambda: any(event["event"] == "last site not kept" for event in logged))
        keeping.cancel()
        await asyncio.wait([keeping])

    with capture_logs() as logged:
        asyncio.run(scene())
    (event,) = [event for event in logged if event["event"] == "last site not kept"]
    assert (event["log_level"], event["file"]) == ("warning", "/dev/full/last")


def test_no_site_is_nothing_that_is_kept(sites: Sites, tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(sites)
        await stage.feed.work(0.0)
        keeping = asyncio.create_task(stage.feed.keep(str(tmp_path / "last"), b""))
        for _ in range(20):
            await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait([keeping])
        assert stage.feed.latest == NOTHING

    asyncio.run(scene())
    assert not (tmp_path / "last").exists()


def test_a_section_of_one_table_is_read_of_the_newest_version(sites: Sites) -> None:
    stage = Stage(sites)

    def single() -> str:
        return asyncio.run(stage.feed.single("cdr"))

    assert single() == ""
    around: Entries = {("access", "source 10.0.0.0/8"): "{}", ("congestion", ""): "{}", ("domain", "x"): "{}"}
    sites.replace(around, BY)
    stage.run()
    assert single() == ""
    sites.replace({**around, ("cdr", ""): '{"keep_days":7}'}, BY)
    stage.feed.heard()
    stage.run()
    assert single() == '{"keep_days":7}'
