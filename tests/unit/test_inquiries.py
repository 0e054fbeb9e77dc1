"""What a node answers about its bans and itself."""

import asyncio

from oneproxy.access.bans import ACCOUNT, SOURCE, Ban, Bans, Shut
from oneproxy.inquiries import Inquiries
from oneproxy.ipc.desk import (
    PAGE,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    Inquiry,
    LiftBan,
    ListBans,
    NodeHealth,
    NodeQuestion,
    Report,
)
from waiting import PATIENCE_S

NOW = 1_700_000_000.0


def banned(count: int, shut: Shut | None = None) -> Bans:
    bans = Bans(shut)
    for number in range(count):
        name = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        bans.add(Ban(SOURCE, name, NOW, NOW + 60 + number, "flood"), True)
    return bans


async def ask(bans: Bans, question: NodeQuestion, now: float = NOW) -> object:
    """What is reported."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    health = NodeHealth(3, 7, True, len(bans))
    Inquiries(bans, lambda: health, lambda: now, reports.put_nowait).take(Inquiry(9, question))
    report = await asyncio.wait_for(reports.get(), PATIENCE_S)
    assert report.number == 9
    return report.found


def test_bans_are_reported_by_name_without_those_that_are_over() -> None:
    bans = banned(3)
    bans.add(Ban(ACCOUNT, "alice@x.org", NOW, NOW + 9e9, "guesses"), False)
    found = asyncio.run(ask(bans, ListBans(), NOW + 60.5))
    assert isinstance(found, BansFound)
    assert found == BansFound(
        [
            BanFound("10.0.0.1", SOURCE, NOW, NOW + 61, "flood"),
            BanFound("10.0.0.2", SOURCE, NOW, NOW + 62, "flood"),
            BanFound("alice@x.org", ACCOUNT, NOW, NOW + 9e9, "guesses"),
        ]
    )
    assert asyncio.run(ask(bans, ListBans("10.0.0.2"), NOW + 60.5)) == BansFound(found.bans[2:])


def test_any_number_of_bans_is_reported_page_by_page() -> None:
    bans = banned(3 * PAGE + 1)

    async def all_pages() -> list[str]:
        names: list[str] = []
        while True:
            page = await ask(bans, ListBans(names[-1] if names else ""))
            assert isinstance(page, BansFound)
            names += [ban.name for ban in page.bans]
            if len(page.bans) < PAGE:
                return names

    assert asyncio.run(all_pages()) == [ban.name for ban in bans.page("", 4 * PAGE)]
    assert len(bans) == 3 * PAGE + 1


def test_thousands_of_bans_that_are_over_are_let_go_of_before_the_others_are_reported() -> None:
    bans = banned(1000)
    found = asyncio.run(ask(bans, ListBans(), NOW + 60 + 990))
    assert isinstance(found, BansFound)
    assert [ban.until for ban in found.bans] == [NOW + 60 + number for number in range(991, 1000)]
    assert len(bans) == 9


def test_a_ban_is_lifted_by_its_name_and_an_accounts_as_people_write_it() -> None:
    shut: Shut = {}
    bans = banned(1, shut)
    bans.add(Ban(ACCOUNT, "J%C3%BCrgen@x.org", NOW, NOW + 60, "guesses"), False)
    assert len(shut) == 1
    assert asyncio.run(ask(bans, LiftBan("10.0.0.0"))) == BanLifted(1)
    assert asyncio.run(ask(bans, LiftBan("10.0.0.0"))) == BanLifted(0)
    assert asyncio.run(ask(bans, LiftBan("Jürgen@X.org"))) == BanLifted(1)
    assert (len(bans), shut) == (0, {})


def test_a_node_says_how_it_fares() -> None:
    assert asyncio.run(ask(banned(2), AskHealth())) == NodeHealth(3, 7, True, 2)
