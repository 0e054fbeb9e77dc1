"""RFC 3261 10.3, what a registrar does, step by step, on both databases."""

from collections.abc import Iterator

import pytest

from asking import NOW
from oneproxy.site.model import Domain, Rule, Site, Subscriber
from registering import ALICE, Registering, a_site, values

DESK = "Contact: <sip:alice@192.0.2.4>"
MOBILE = "Contact: <sip:alice@192.0.2.5>"


@pytest.fixture
def registrar(database_url: str) -> Iterator[Registering]:
    made = Registering(database_url)
    yield made
    made.end()


def test_registers_are_carried_out_in_the_order_in_which_they_come(registrar: Registering) -> None:
    """10.3: REGISTER requests are processed in order, each whole or not at all."""
    assert registrar.register(DESK, "Expires: 600").status == 200
    assert registrar.register(MOBILE, f"{DESK};expires=5", cseq=2).status == 423
    assert registrar.contacts() == ["sip:alice@192.0.2.4"]


def test_step_1_a_domain_that_is_not_ours_is_not_registered_for(registrar: Registering) -> None:
    assert registrar.register(DESK, uri="sip:elsewhere.org").status == 407
    stranger = "<sip:zoe@elsewhere.org>"
    assert registrar.register(DESK, uri="sip:elsewhere.org", to=stranger).status == 403
    assert registrar.register(DESK, to="<sip:alice@elsewhere.org>").status == 404


def test_step_2_a_required_extension_that_is_not_there_is_refused(registrar: Registering) -> None:
    refused = registrar.register(DESK, "Require: path, gruu, outbound, flying")
    assert (refused.status, values(refused, "Unsupported")) == (420, ["flying"])


def test_step_5_an_address_of_record_that_does_not_exist_is_not_found(registrar: Registering) -> None:
    registrar.start(
        Site(
            {"example.com": Domain("example.com")},
            {ALICE: Subscriber(ALICE, {})},
            access=(Rule("192.0.2.0/24", action="trust"),),
        )
    )
    assert registrar.register(DESK, to="<sip:zoe@example.com>").status == 404
    assert registrar.register(DESK).status == 200


@pytest.mark.parametrize(
    "to",
    ["<sip:%61lice@EXAMPLE.COM>", "<sip:alice@example.com:5060;transport=tcp>", "<sips:alice@example.com>"],
)
def test_step_5_spellings_of_one_address_of_record_are_one(registrar: Registering, to: str) -> None:
    """Parameters go, escapes are taken off, the scheme of the two secures nothing here."""
    registrar.register(DESK)
    registrar.register(MOBILE, to=to, call_id="reg-2")
    assert len(registrar.contacts()) == 2


def test_step_6_without_a_contact_it_is_a_query(registrar: Registering) -> None:
    registrar.register(DESK, "Expires: 600")
    registrar.now += 100
    answer = registrar.register(cseq=2)
    assert values(answer, "Contact") == ["<sip:alice@192.0.2.4>;expires=500"]
    assert registrar.commits == 1


@pytest.mark.parametrize(
    "headers",
    [
        ("Contact: *",),
        ("Contact: *", "Expires: 60"),
        ("Contact: *", DESK, "Expires: 0"),
        ("Contact: *, <sip:alice@192.0.2.4>", "Expires: 0"),
    ],
)
def test_step_6_a_star_stands_alone_and_with_expires_0(
    registrar: Registering, headers: tuple[str, ...]
) -> None:
    registrar.register(DESK)
    assert registrar.register(*headers, cseq=2).status == 400
    assert registrar.contacts() == ["sip:alice@192.0.2.4"]


def test_step_6_a_star_takes_everything_away_that_no_later_register_bound(registrar: Registering) -> None:
    registrar.register(DESK, cseq=5)
    assert registrar.register("Contact: *", "Expires: 0", cseq=5).status == 500
    assert registrar.register("Contact: *", "Expires: 0", cseq=6).status == 200
    assert registrar.contacts() == []


@pytest.mark.parametrize(
    ("contact", "expires", "granted_s"),
    [
        (";expires=300", "Expires: 600", 300),
        ("", "Expires: 600", 600),
        ("", None, 1200),
        (";expires=100000", None, 3600),
        ("", "Expires: 4294967296000", 3600),
        ("", "Expires: soon", 3600),
    ],
)
def test_step_7_the_time_is_that_of_the_contact_the_header_or_the_domain(
    registrar: Registering, contact: str, expires: str | None, granted_s: int
) -> None:
    registrar.start(a_site(default_expires_s=1200))
    answer = registrar.register(DESK + contact, *([expires] if expires else []))
    assert values(answer, "Contact") == [f"<sip:alice@192.0.2.4>;expires={granted_s}"]


def test_step_7_too_short_a_time_is_refused_with_the_shortest(registrar: Registering) -> None:
    refused = registrar.register(f"{DESK};expires=59")
    assert (refused.status, values(refused, "Min-Expires")) == (423, ["60"])
    registrar.start(a_site(min_expires_s=7200, max_expires_s=86_400))
    assert registrar.register(f"{DESK};expires=3600").status == 200


def test_step_7_contacts_are_compared_as_uris(registrar: Registering) -> None:
    registrar.register("Contact: <sip:%61lice@HOST.example.org;a=1>")
    registrar.register("Contact: <sip:alice@host.example.org;b=2>", cseq=2)
    assert registrar.contacts() == ["sip:alice@host.example.org;b=2"]
    registrar.register("Contact: <sip:alice@host.example.org:5060>", cseq=3)
    assert len(registrar.contacts()) == 2


def test_step_7_an_older_cseq_of_the_same_call_id_changes_nothing(registrar: Registering) -> None:
    registrar.register(DESK, cseq=7)
    assert registrar.register(f"{DESK};expires=0", cseq=6).status == 500
    assert registrar.register(f"{DESK};q=0.1", cseq=7).status == 500
    assert registrar.register(f"{DESK};expires=0", cseq=1, call_id="after-a-reboot").status == 200


def test_step_7_the_very_same_register_again_is_answered_the_same_and_writes_nothing(
    registrar: Registering,
) -> None:
    first = registrar.register(DESK, "Expires: 600", cseq=7)
    assert registrar.register(DESK, "Expires: 600", cseq=7).headers == first.headers
    assert registrar.commits == 1


def test_step_7_expires_0_takes_one_contact_away(registrar: Registering) -> None:
    registrar.register(DESK, MOBILE)
    answer = registrar.register(f"{DESK};expires=0", cseq=2)
    assert [value.partition(";")[0] for value in values(answer, "Contact")] == ["<sip:alice@192.0.2.5>"]


def test_step_8_every_binding_is_listed_with_what_is_left_of_its_time(registrar: Registering) -> None:
    registrar.register(f"{DESK};q=0.5", "Expires: 600")
    registrar.now += 60
    answer = registrar.register(MOBILE, "Expires: 600", cseq=2)
    assert values(answer, "Contact") == [
        "<sip:alice@192.0.2.5>;expires=600",
        "<sip:alice@192.0.2.4>;expires=540;q=0.5",
    ]
    assert len(values(answer, "Date")) == 1


def test_a_binding_ends_with_its_time(registrar: Registering) -> None:
    registrar.register(DESK, "Expires: 600")
    registrar.now = NOW + 599.9
    assert registrar.call() == ["sip:alice@192.0.2.4"]
    registrar.now = NOW + 600
    assert registrar.call() == 480


def test_who_registers_for_another_is_stored_under_the_other(registrar: Registering) -> None:
    """10.2: From is who registers, To is who is registered; access says who may."""
    registrar.register(DESK, to="<sip:bob@example.com>", sender="<sip:secretary@example.com>")
    assert (registrar.contacts(), registrar.contacts("bob@example.com")) == ([], ["sip:alice@192.0.2.4"])


def test_what_was_registered_is_there_after_a_restart(registrar: Registering) -> None:
    registrar.register(f"{DESK};q=0.5", MOBILE)
    registrar.start(a_site())
    assert registrar.call() == ["sip:alice@192.0.2.5"]


def test_aliases_of_domain_and_user_register_and_are_called_as_the_user(registrar: Registering) -> None:
    site = Site(
        {"example.com": Domain("example.com", authenticate=(), aliases=("example.org",))},
        {ALICE: Subscriber(ALICE, {}, aliases=("info", "+351 21 123"))},
    )
    registrar.start(site)
    assert registrar.register(DESK, uri="sip:example.org", to="<sip:info@example.org>").status == 200
    assert registrar.contacts() == ["sip:alice@192.0.2.4"]
    for uri in (
        "sip:info@example.com",
        "sip:+351.21.123@example.org",
        "tel:+351-21-123",
        "sip:alice@192.0.2.1",
    ):
        assert registrar.call(uri) == ["sip:alice@192.0.2.4"]


def test_the_oldest_contact_makes_room_where_the_domain_says_so(registrar: Registering) -> None:
    registrar.start(a_site(max_contacts=2, when_full="replace"))
    for number in (1, 2, 3):
        registrar.now += 10
        registrar.register(f"Contact: <sip:alice@192.0.2.{number}>", cseq=number)
    assert registrar.contacts() == ["sip:alice@192.0.2.2", "sip:alice@192.0.2.3"]
    registrar.start(a_site(max_contacts=2))
    assert registrar.register("Contact: <sip:alice@192.0.2.4>", cseq=4).status == 403
