"""What a REGISTER does to the bindings of its address-of-record, rule by rule."""

import pytest

from asking import NOW, uri_of
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.request import Contact, Wanted
from oneproxy.registrar.rules import Refusal, apply_change, register
from oneproxy.site.model import Domain

AOR = "alice@example.com"
DESK = "sip:alice@192.0.2.4"
MOBILE = "sip:alice@198.51.100.9:5070"
LIMITS = Domain("example.com", min_expires_s=60, max_expires_s=3600, max_contacts=3)


def contact(uri: str, expires_s: int | None = None, q: int = 1000) -> Contact:
    return Contact(uri_of(uri), expires_s, q, "", 0)


def wanted(*contacts: Contact, call_id: str = "c1", cseq: int = 1, expires_s: int | None = None) -> Wanted:
    made = Wanted(AOR, call_id, cseq, "udp:192.0.2.7:5062")
    made.contacts = list(contacts)
    made.expires_s = expires_s
    return made


def everything(call_id: str = "c1", cseq: int = 1) -> Wanted:
    made = wanted(call_id=call_id, cseq=cseq, expires_s=0)
    made.everything = True
    return made


def bound(
    uri: str = DESK, call_id: str = "c1", cseq: int = 1, left_s: float = 600, since: float = NOW - 100
) -> Binding:
    return Binding(uri, NOW + left_s, 1000, call_id, cseq, "udp:192.0.2.7:5062", since)


def changed(result: Change | Refusal) -> Change:
    assert isinstance(result, Change), (result.status, result.reason)
    return result


def refused(result: Change | Refusal) -> tuple[int, str, tuple[str, ...]]:
    assert isinstance(result, Refusal), result
    return result.status, result.reason, result.headers


def test_a_contact_is_bound_with_all_that_was_said_of_it() -> None:
    asked = wanted(Contact(uri_of(DESK), 120, 700, "<urn:uuid:1>", 2), call_id="c9", cseq=7)
    asked.path = ("<sip:edge.example.com;lr>",)
    asked.user_agent = "phone/1"
    assert register([], asked, NOW, LIMITS) == Change(
        AOR,
        (),
        (
            Binding(
                contact=DESK,
                expires_at=NOW + 120,
                q=700,
                call_id="c9",
                cseq=7,
                source="udp:192.0.2.7:5062",
                since=NOW,
                path=("<sip:edge.example.com;lr>",),
                user_agent="phone/1",
                instance="<urn:uuid:1>",
                reg_id=2,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("own_s", "header_s", "lasting_s"),
    [
        (None, None, 3600),
        (None, 120, 120),
        (300, 120, 300),
        (300, None, 300),
        (7200, None, 3600),
        (None, 2**32 - 1, 3600),
        (60, None, 60),
    ],
)
def test_the_time_of_the_contact_goes_before_that_of_the_request_and_the_longest(
    own_s: int | None, header_s: int | None, lasting_s: int
) -> None:
    change = changed(register([], wanted(contact(DESK, own_s), expires_s=header_s), NOW, LIMITS))
    assert change.stored[0].expires_at == NOW + lasting_s


@pytest.mark.parametrize("expires_s", [1, 59])
def test_too_short_a_time_is_refused_with_the_shortest_allowed(expires_s: int) -> None:
    result = register([], wanted(contact(DESK, expires_s)), NOW, LIMITS)
    assert refused(result) == (423, "Interval Too Brief", ("Min-Expires: 60",))


def test_who_asks_for_an_hour_is_not_told_that_it_is_too_short() -> None:
    """RFC 3261 10.3 step 7."""
    limits = Domain("example.com", min_expires_s=7200, max_expires_s=86400)
    assert changed(register([], wanted(contact(DESK, 3600)), NOW, limits)).stored[0].expires_at == NOW + 3600
    assert refused(register([], wanted(contact(DESK, 3599)), NOW, limits))[2] == ("Min-Expires: 7200",)


@pytest.mark.parametrize(("default_s", "lasting_s"), [(0, 3600), (300, 300), (7200, 3600)])
def test_who_says_no_time_gets_the_default_of_the_domain(default_s: int, lasting_s: int) -> None:
    limits = Domain("example.com", default_expires_s=default_s)
    assert changed(register([], wanted(contact(DESK)), NOW, limits)).stored[0].expires_at == NOW + lasting_s


@pytest.mark.parametrize(
    ("asked_s", "drawn", "granted_s"),
    [
        (3600, 0.0, 3600),
        (3600, 0.5, 3420),
        (3600, 1.0, 3240),
        (7200, 1.0, 3240),
        (600, 0.999, 541),
        (65, 1.0, 60),
        (61, 0.5, 60),
        (60, 1.0, 60),
    ],
)
def test_what_is_granted_is_shortened_at_random_but_never_below_the_shortest(
    asked_s: int, drawn: float, granted_s: int
) -> None:
    limits = Domain("example.com", min_expires_s=60, max_expires_s=3600, spread_percent=10)
    change = changed(register([], wanted(contact(DESK, asked_s)), NOW, limits, drawn=drawn))
    assert change.stored[0].expires_at == NOW + granted_s


def test_without_a_shortest_time_a_second_stays_a_second() -> None:
    limits = Domain("example.com", min_expires_s=0, spread_percent=50)
    change = changed(register([], wanted(contact(DESK, 1)), NOW, limits, drawn=1.0))
    assert change.stored[0].expires_at == NOW + 1


def test_one_contact_that_is_refused_refuses_all() -> None:
    result = register([bound()], wanted(contact(DESK, 0), contact(MOBILE, 5), cseq=2), NOW, LIMITS)
    assert refused(result)[0] == 423


def test_a_refresh_keeps_when_the_contact_was_first_registered() -> None:
    change = changed(register([bound(since=NOW - 5000)], wanted(contact(DESK), cseq=2), NOW, LIMITS))
    assert change.removed == ()
    assert [(one.contact, one.since, one.cseq) for one in change.stored] == [(DESK, NOW - 5000, 2)]


def test_a_contact_that_had_expired_begins_anew() -> None:
    change = changed(register([bound(left_s=0, cseq=9)], wanted(contact(DESK), cseq=1), NOW, LIMITS))
    assert [(one.contact, one.since) for one in change.stored] == [(DESK, NOW)]


def test_an_expired_binding_goes_with_the_next_change() -> None:
    change = changed(register([bound(MOBILE, left_s=-1)], wanted(contact(DESK)), NOW, LIMITS))
    assert change.removed == (MOBILE,)
    assert [one.contact for one in change.stored] == [DESK]


def test_a_second_contact_leaves_the_first() -> None:
    stored = [bound()]
    change = changed(register(stored, wanted(contact(MOBILE), cseq=2), NOW, LIMITS))
    assert [one.contact for one in apply_change(stored, change)] == [DESK, MOBILE]


def test_expires_0_removes_the_contact_and_no_other() -> None:
    change = changed(register([bound(), bound(MOBILE)], wanted(contact(DESK, 0), cseq=2), NOW, LIMITS))
    assert change == Change(AOR, (DESK,), (), (("c1", 2),))


def test_the_expires_header_of_0_removes_too() -> None:
    change = changed(register([bound()], wanted(contact(DESK), cseq=2, expires_s=0), NOW, LIMITS))
    assert change == Change(AOR, (DESK,), (), (("c1", 2),))


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert register([], wanted(contact(DESK, 0)), NOW, LIMITS) == Change(AOR, (), ())


def test_contacts_may_come_and_go_in_one_request() -> None:
    change = changed(register([bound()], wanted(contact(DESK, 0), contact(MOBILE, 90), cseq=2), NOW, LIMITS))
    assert change.removed == (DESK,)
    assert [one.contact for one in change.stored] == [MOBILE]


def test_a_request_without_contacts_asks_and_changes_nothing() -> None:
    assert register([bound(), bound(MOBILE, left_s=-1)], wanted(), NOW, LIMITS) == Change(AOR, (), ())


def test_a_star_removes_every_binding() -> None:
    change = changed(register([bound(), bound(MOBILE, "other", 900)], everything(cseq=2), NOW, LIMITS))
    assert change == Change(AOR, (DESK, MOBILE), (), (("c1", 2), ("other", 900)))


def test_a_star_with_nothing_bound_changes_nothing() -> None:
    assert register([], everything(), NOW, LIMITS) == Change(AOR, (), ())


@pytest.mark.parametrize("cseq", [4, 5])
@pytest.mark.parametrize("asked", [wanted(contact(DESK, q=1)), wanted(contact(DESK, 0)), everything()])
def test_a_request_overtaken_by_a_later_one_fails(asked: Wanted, cseq: int) -> None:
    asked.cseq = cseq
    assert refused(register([bound(cseq=5)], asked, NOW, LIMITS)) == (500, "Out of Order", ())


@pytest.mark.parametrize("asked", [wanted(contact(DESK)), wanted(contact(DESK, 0)), everything()])
def test_another_call_id_starts_its_own_count(asked: Wanted) -> None:
    asked.cseq = 1
    assert isinstance(register([bound(call_id="before the reboot", cseq=5)], asked, NOW, LIMITS), Change)


def test_a_request_that_was_carried_out_before_changes_nothing_and_is_no_fault() -> None:
    asked = wanted(contact(DESK), contact(MOBILE, 0), cseq=5)
    stored = apply_change([], changed(register([], asked, NOW, LIMITS)))
    assert register(stored, asked, NOW + 33, LIMITS) == Change(AOR, (), ())
    asked.contacts[0].flow = "tcp/0.9"
    assert refused(register(stored, asked, NOW + 33, LIMITS))[0] == 500
    query = wanted(contact(MOBILE, 0), cseq=5)
    assert register(stored, query, NOW, LIMITS) == Change(AOR, (), ())


def test_one_contact_out_of_order_fails_all() -> None:
    stored = [bound(cseq=1), bound(MOBILE, cseq=5)]
    assert refused(register(stored, wanted(contact(DESK), contact(MOBILE), cseq=3), NOW, LIMITS))[0] == 500


def test_the_count_of_a_binding_that_is_not_touched_does_not_matter() -> None:
    assert isinstance(register([bound(MOBILE, cseq=5)], wanted(contact(DESK), cseq=3), NOW, LIMITS), Change)


def test_an_equal_uri_replaces_the_binding_under_its_new_spelling() -> None:
    stored = [bound("sip:%61lice@192.0.2.4;foo=1", since=NOW - 50)]
    change = changed(register(stored, wanted(contact(DESK), cseq=2), NOW, LIMITS))
    assert change.removed == ("sip:%61lice@192.0.2.4;foo=1",)
    assert [(one.contact, one.since) for one in change.stored] == [(DESK, NOW - 50)]


def test_every_binding_that_equals_the_contact_is_replaced() -> None:
    stored = [bound(f"{DESK};a=1"), bound(f"{DESK};b=1")]
    change = changed(register(stored, wanted(contact(DESK), cseq=2), NOW, LIMITS))
    assert change.removed == (f"{DESK};a=1", f"{DESK};b=1")


def test_an_equal_uri_is_removed() -> None:
    change = changed(register([bound()], wanted(contact("sip:%61lice@192.0.2.4", 0), cseq=2), NOW, LIMITS))
    assert change == Change(AOR, (DESK,), (), (("c1", 2),))


@pytest.mark.parametrize(
    "other", ["sips:alice@192.0.2.4", "sip:Alice@192.0.2.4", f"{DESK}:5060", f"{DESK};transport=tcp"]
)
def test_a_uri_that_differs_is_another_contact(other: str) -> None:
    stored = [bound()]
    change = changed(register(stored, wanted(contact(other), cseq=2), NOW, LIMITS))
    assert len(apply_change(stored, change)) == 2


def test_the_last_of_equal_contacts_in_one_request_counts() -> None:
    change = changed(
        register([], wanted(contact(DESK, 100), contact("sip:%61lice@192.0.2.4", 200)), NOW, LIMITS)
    )
    assert [(one.contact, one.expires_at) for one in change.stored] == [("sip:%61lice@192.0.2.4", NOW + 200)]
    assert register([], wanted(contact(DESK, 100), contact(DESK, 0)), NOW, LIMITS) == Change(AOR, (), ())


def test_more_contacts_than_the_domain_allows_are_refused() -> None:
    stored = [bound(f"sip:alice@192.0.2.{last}") for last in (1, 2, 3)]
    result = register(stored, wanted(contact(DESK), cseq=2), NOW, LIMITS)
    assert refused(result) == (403, "Too Many Contacts", ())


def test_expired_contacts_do_not_count_against_the_limit() -> None:
    stored = [bound(f"sip:alice@192.0.2.{last}", left_s=-1) for last in (1, 2, 3)]
    assert isinstance(register(stored, wanted(contact(DESK), cseq=2), NOW, LIMITS), Change)


def test_a_full_domain_that_replaces_lets_the_oldest_contact_go() -> None:
    replacing = Domain("example.com", max_contacts=3, when_full="replace")
    stored = [
        bound(f"sip:alice@192.0.2.{last}", since=NOW - age) for last, age in ((1, 50), (2, 90), (3, 70))
    ]
    change = changed(register(stored, wanted(contact(DESK), cseq=2), NOW, replacing))
    assert (change.removed, [one.contact for one in change.stored]) == (("sip:alice@192.0.2.2",), [DESK])
    two = changed(register(stored, wanted(contact(DESK), contact(MOBILE), cseq=2), NOW, replacing))
    assert two.removed == ("sip:alice@192.0.2.2", "sip:alice@192.0.2.3")


def test_a_full_domain_that_replaces_refuses_more_contacts_in_one_request_than_it_may_have() -> None:
    replacing = Domain("example.com", max_contacts=1, when_full="replace")
    result = register([bound()], wanted(contact(DESK), contact(MOBILE), cseq=2), NOW, replacing)
    assert refused(result) == (403, "Too Many Contacts", ())


def test_what_is_gone_makes_room_before_what_is_old() -> None:
    replacing = Domain("example.com", max_contacts=2, when_full="replace")
    stored = [bound(since=NOW - 500), bound(MOBILE, since=NOW - 5)]
    asked = wanted(contact("sip:alice@192.0.2.9"), cseq=2)
    change = changed(register(stored, asked, NOW, replacing, lambda one: one.contact == MOBILE))
    assert change.removed == (MOBILE,)


def test_an_address_above_a_lowered_limit_can_refresh_and_remove_but_not_add() -> None:
    stored = [bound(f"sip:alice@192.0.2.{last}") for last in (1, 2, 3, 4, 5)]
    refresh = wanted(contact("sip:alice@192.0.2.5"), cseq=2)
    assert isinstance(register(stored, refresh, NOW, LIMITS), Change)
    assert isinstance(
        register(stored, wanted(contact("sip:alice@192.0.2.5", 0), cseq=2), NOW, LIMITS), Change
    )
    assert refused(register(stored, wanted(contact(MOBILE), cseq=2), NOW, LIMITS))[0] == 403


def test_a_request_with_contacts_without_end_is_refused_before_they_are_compared() -> None:
    result = register([], wanted(*[contact(DESK)] * 7), NOW, LIMITS)
    assert refused(result) == (403, "Too Many Contacts", ())


def of_flow(
    uri: str, reg_id: int = 1, instance: str = "<urn:uuid:1>", expires_s: int | None = None
) -> Wanted:
    made = wanted(Contact(uri_of(uri), expires_s, 1000, instance, reg_id), call_id="c2")
    made.contacts[0].flow = f"tcp/0.{reg_id}"
    made.outbound = True
    return made


def after(*requests: Wanted) -> list[tuple[str, str]]:
    """Contact and flow of each binding that a sequence of requests leaves."""
    stored: list[Binding] = []
    for cseq, asked in enumerate(requests, 1):
        asked.cseq = cseq
        stored = apply_change(stored, changed(register(stored, asked, NOW, LIMITS)))
    return [(one.contact, one.flow) for one in stored]


def test_a_new_flow_of_the_same_phone_and_reg_id_replaces_the_old_one() -> None:
    assert after(of_flow(DESK), of_flow(MOBILE)) == [(MOBILE, "tcp/0.1")]


def test_two_flows_of_one_contact_are_two_bindings() -> None:
    second = of_flow(DESK, reg_id=2)
    assert after(of_flow(DESK), second) == [(DESK, "tcp/0.1"), (DESK, "tcp/0.2")]
    assert after(of_flow(DESK), second, of_flow(DESK, expires_s=0)) == [(DESK, "tcp/0.2")]


def test_a_contact_without_a_reg_id_takes_the_place_of_its_flows_and_they_of_it() -> None:
    plain = of_flow(DESK, reg_id=0)
    assert after(of_flow(DESK), of_flow(DESK, reg_id=2), plain) == [(DESK, "tcp/0.0")]
    assert after(plain, of_flow(DESK)) == [(DESK, "tcp/0.1")]


def test_an_instance_that_moves_is_known_since_it_came_under_its_call_id() -> None:
    """RFC 5627 5.1: its temporary GRUUs are good as long as Call-ID and registration last."""
    [desk] = changed(register([], of_flow(DESK, reg_id=0), NOW, LIMITS)).stored
    moved = of_flow(MOBILE, reg_id=0)
    moved.cseq = 2
    assert changed(register([desk], moved, NOW + 50, LIMITS)).stored[0].since == NOW
    moved.call_id = "another"
    assert changed(register([desk], moved, NOW + 50, LIMITS)).stored[0].since == NOW + 50


@pytest.mark.parametrize(
    ("uri", "is_refused"),
    [
        ("sip:alice@example.com;gr=urn:uuid:1", True),
        ("sip:tgruu.x@example.org;gr", True),
        ("sip:alice@elsewhere.org;gr=urn:uuid:1", False),
        ("sip:alice@example.com", False),
    ],
)
def test_a_contact_that_is_a_gruu_of_ours_is_refused(uri: str, is_refused: bool) -> None:
    """RFC 5627 5.1."""
    limits = Domain("example.com", aliases=("example.org",))
    result = register([], wanted(contact(uri)), NOW, limits)
    assert isinstance(result, Refusal) is is_refused
    if isinstance(result, Refusal):
        assert refused(result) == (403, "Contact Is a GRUU", ())
    assert isinstance(register([bound(uri)], wanted(contact(uri, 0), cseq=2), NOW, limits), Change)


def test_flows_of_other_phones_and_reg_ids_stay() -> None:
    others = (of_flow(MOBILE, reg_id=2), of_flow("sip:alice@192.0.2.9", instance="<urn:uuid:2>"))
    assert len(after(of_flow(DESK), *others)) == 3


def test_without_a_reg_id_that_counts_the_instance_does_not_matter() -> None:
    assert after(of_flow(DESK, reg_id=0), of_flow(MOBILE, reg_id=0)) == [
        (DESK, "tcp/0.0"),
        (MOBILE, "tcp/0.0"),
    ]


def test_a_refresh_over_another_connection_takes_it() -> None:
    again = of_flow(DESK)
    again.contacts[0].flow = "tcp/0.9"
    assert after(of_flow(DESK), again) == [(DESK, "tcp/0.9")]


def test_a_flow_is_let_go_of_under_another_address() -> None:
    assert after(of_flow(DESK), of_flow(MOBILE, expires_s=0)) == []


def test_a_flow_overtaken_by_a_later_one_fails() -> None:
    [earlier] = changed(register([], of_flow(DESK), NOW, LIMITS)).stored
    assert refused(register([earlier], of_flow(MOBILE), NOW, LIMITS)) == (500, "Out of Order", ())


def test_a_request_binds_one_contact_to_its_flow() -> None:
    asked = of_flow(DESK)
    asked.contacts.append(contact(MOBILE))
    assert refused(register([], asked, NOW, LIMITS)) == (400, "One Contact for a Flow", ())
    asked.contacts[1] = contact(MOBILE, 0)
    assert isinstance(register([], asked, NOW, LIMITS), Change)


def test_a_flow_that_the_first_proxy_did_not_keep_is_refused() -> None:
    asked = of_flow(DESK)
    asked.lacks_outbound = True
    assert refused(register([], asked, NOW, LIMITS)) == (439, "First Hop Lacks Outbound Support", ())


def test_contacts_that_are_gone_make_room_and_no_others_do() -> None:
    stored = [bound(f"sip:alice@192.0.2.{last}") for last in (1, 2, 3)]

    def is_gone(binding: Binding) -> bool:
        return binding.contact.endswith(("1", "2"))

    change = changed(register(stored, wanted(contact(DESK), cseq=2), NOW, LIMITS, is_gone))
    assert [one.contact for one in apply_change(stored, change)] == ["sip:alice@192.0.2.3", DESK]
    result = register(stored[2:] * 3, wanted(contact(DESK), cseq=2), NOW, LIMITS, is_gone)
    assert refused(result) == (403, "Too Many Contacts", ())


def test_while_there_is_room_contacts_that_are_gone_stay() -> None:
    change = changed(register([bound(MOBILE)], wanted(contact(DESK), cseq=2), NOW, LIMITS, lambda _: True))
    assert change.removed == ()
