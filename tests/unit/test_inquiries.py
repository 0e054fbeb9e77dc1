"""What a node answers about its bans and itself."""

import asyncio

import pytest

from asking import LISTENER, NOW, subscriber
from oneproxy import gateway_views
from oneproxy.access.bans import ACCOUNT, SOURCE, Ban, Bans, Shut
from oneproxy.gateway_views import view_of
from oneproxy.inquiries import Inquiries, explain_to_people
from oneproxy.ipc.calls import AskCalls, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.desk import (
    PAGE,
    AskExplain,
    AskGateways,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    GatewayFound,
    GatewaysFound,
    Inquiry,
    LiftBan,
    ListBans,
    NodeExplained,
    NodeHealth,
    NodeQuestion,
    ProviderFound,
    Report,
    StandingFound,
)
from oneproxy.ipc.limits import AskLimits, LimitFound, LimitsFound
from oneproxy.policy.build import build
from oneproxy.policy.order import Order
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Gateway, Provider, Registration, Route, Site
from oneproxy.trunks.gateway import ENDS
from oneproxy.trunks.registration import Standing
from oneproxy.trunks.registration_states import State
from oneproxy.trunks.registrations import Listed
from oneproxy.trunks.step import TrunkStep
from waiting import PATIENCE_S

REGISTERED = Registration("sip:me@carrier.example", "me", "secret")


SITE = Site(
    {"example.com": Domain("example.com")},
    {"alice@example.com": subscriber("alice@example.com")},
    providers={
        "carrier": Provider(
            "carrier",
            max_calls=9,
            gateway=(
                Gateway("a1", "sip:peer:hush@198.51.100.10:5060", max_calls=30, register=REGISTERED),
                Gateway("a2", "sip:198.51.100.11", drain=True),
            ),
        )
    },
    routes={"+351": Route("+351", provider="carrier")},
)


def policy_of(site: Site) -> Order:
    def unused(*_: object) -> bool:
        raise AssertionError("nothing is stored or answered")

    return build(site, b"farm", {"192.0.2.1:5060"}, Location(10), unused, lambda *_: None)


POLICY = policy_of(SITE)


def explained(question: AskExplain) -> NodeExplained:
    return explain_to_people(POLICY, question, [LISTENER], NOW)


def banned(count: int, shut: Shut | None = None) -> Bans:
    bans = Bans(shut)
    for number in range(count):
        name = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        bans.add(Ban(SOURCE, name, NOW, NOW + 60 + number, "flood"), True)
    return bans


async def of_calls(question: AskCalls | EndCall) -> CallsFound | NodeEnded:
    await asyncio.sleep(0)
    return (
        NodeEnded(question.id == "x") if isinstance(question, EndCall) else CallsFound([], 7, question.most)
    )


async def limits() -> LimitsFound:
    """How full they are takes some turns of the loop."""
    await asyncio.sleep(0)
    return LimitsFound([LimitFound("node", "node", "", 5, 1.0, 0, 2, 0, 0)])


async def ask(bans: Bans, question: NodeQuestion, now: float = NOW) -> object:
    """What is reported."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    health = NodeHealth(3, 7, True, len(bans))
    inquiries = Inquiries(
        bans,
        lambda: health,
        lambda: now,
        reports.put_nowait,
        lambda: view_of(POLICY, now),
        explained,
        limits,
        of_calls,
    )
    inquiries.take(Inquiry(9, question))
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


def test_a_node_says_which_calls_are_on_and_ends_one() -> None:
    assert asyncio.run(ask(banned(0), AskCalls(most=3))) == CallsFound([], 7, 3)
    assert asyncio.run(ask(banned(0), EndCall("x"))) == NodeEnded(True)
    assert asyncio.run(ask(banned(0), EndCall("y"))) == NodeEnded(False)


def test_a_node_says_how_its_gateways_fare_without_their_passwords() -> None:
    found = asyncio.run(ask(banned(0), AskGateways()))
    none = dict.fromkeys(ENDS, 0)
    a1 = GatewayFound(
        "a1", "sip:peer:***@198.51.100.10:5060", "up", 0, 0, 0, 30, 0, 20.0, 1.0, none, False, 0
    )
    a2 = GatewayFound("a2", "sip:198.51.100.11", "up", 0, 0, 0, 0, 0, 20.0, 1.0, none, True, 0)
    assert found == GatewaysFound([ProviderFound("carrier", 0, 9, 0, 0, 0, [a1, a2])])


def test_a_node_says_how_full_its_limits_are() -> None:
    assert asyncio.run(ask(banned(0), AskLimits())) == asyncio.run(limits())


def test_gateways_are_shown_with_their_calls_and_their_health() -> None:
    policy = policy_of(SITE)
    trunks = next(one for one in policy.steps if isinstance(one, TrunkStep)).trunks
    provider = trunks.find("carrier")
    assert provider is not None
    walk = trunks.walk("carrier")
    walk.begin(NOW)
    for _ in range(3):
        provider.probed(NOW, "a1", 408, "timeout")
    (shown,) = view_of(policy, NOW).providers
    a1 = shown.gateways[0]
    assert (shown.calls, a1.calls, a1.waiting, a1.state, a1.since) == (1, 1, 1, "down", NOW)
    walk.failed(NOW + 1, 503, None, 30)
    (shown,) = view_of(policy, NOW + 1).providers
    a1 = shown.gateways[0]
    assert (a1.calls, a1.ends["5xx"], a1.rest_until, a1.success < 1.0) == (0, 1, NOW + 31, True)
    assert view_of(policy, NOW + 32).providers[0].gateways[0].rest_until == 0


def test_how_a_gateway_is_registered_at_is_shown() -> None:
    standing = Standing(State.WAITING, 403, "Forbidden", "", NOW, NOW + 60, 0.0, 1)

    listed = Listed("carrier", "a1", "sip:me@carrier.example", standing)
    (shown,) = view_of(POLICY, NOW, [listed]).providers
    found = StandingFound("waiting", "sip:me@carrier.example", 403, "Forbidden", "", NOW + 60, 0.0)
    assert [one.standing for one in shown.gateways] == [found, None]


def test_more_gateways_than_an_answer_holds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_views, "MAX_GATEWAYS", 1)
    found = view_of(POLICY, NOW)
    assert ([len(one.gateways) for one in found.providers], found.left_out) == ([1], 1)


def test_a_node_without_a_site_has_no_gateways_and_explains_nothing() -> None:
    assert view_of(None, NOW) == GatewaysFound([])
    found = explain_to_people(None, AskExplain("a@b.c", "d@e.f"), [LISTENER], NOW)
    assert found == NodeExplained([], "this node has no site yet")


def test_a_node_explains_what_would_become_of_a_call() -> None:
    found = asyncio.run(ask(banned(0), AskExplain("alice@example.com", "+351912345678", "192.0.2.7")))
    assert isinstance(found, NodeExplained)
    assert found.verdict == "to carrier/a1 as sip:peer@198.51.100.10:5060"
    assert (found.gateway, found.fault) == ("carrier/a1", "")
    assert ("choice", "carrier/a1") in found.steps


def test_what_is_wrong_with_a_question_is_said() -> None:
    found = asyncio.run(ask(banned(0), AskExplain("alice", "bob@example.com")))
    fault = "from: found 'alice'; allowed a SIP or tel URI, or user@domain"
    assert found == NodeExplained([], "", fault=fault)
