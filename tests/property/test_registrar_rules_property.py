"""Whatever REGISTERs come in whatever order, what is bound stays within the rules."""

from hypothesis import given, settings
from hypothesis import strategies as st

from asking import NOW, uri_of
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.location import Location
from oneproxy.registrar.request import Contact, Wanted
from oneproxy.registrar.rules import Refusal, apply_change, register
from oneproxy.sip.uri import same_uri
from oneproxy.site.model import Domain

AOR = "alice@example.com"
LIMITS = Domain("example.com", min_expires_s=60, max_expires_s=600, max_contacts=3)

uris = st.sampled_from(
    [
        "sip:a@h",
        "sip:%61@h",
        "sip:a@H;x=1",
        "sip:a@h;x=2",
        "sip:b@h",
        "sips:a@h",
        "sip:c@h",
        "sip:d@h",
        "tel:+1",
    ]
)
contacts = st.builds(
    lambda uri, expires_s, q, flow: Contact(uri_of(uri), expires_s, q, *flow),
    uris,
    st.sampled_from([None, 0, 59, 60, 300, 10_000]),
    st.integers(0, 1000),
    st.sampled_from([("", 0), ("", 0), ("<1>", 0), ("<1>", 1), ("<1>", 2), ("<2>", 1)]),
)


@st.composite
def wanted(draw: st.DrawFn) -> tuple[float, Wanted]:
    asked = Wanted(AOR, draw(st.sampled_from(["c1", "c2"])), draw(st.integers(0, 6)), "udp:192.0.2.7:5062")
    asked.everything = draw(st.integers(0, 9)) == 0
    asked.expires_s = 0 if asked.everything else draw(st.sampled_from([None, 0, 60, 90]))
    if not asked.everything:
        asked.contacts = draw(st.lists(contacts, max_size=4))
        asked.outbound = any(contact.reg_id for contact in asked.contacts)
        asked.lacks_outbound = asked.outbound and draw(st.integers(0, 9)) == 0
    return draw(st.sampled_from([0.0, 1.0, 200.0])), asked


@given(st.lists(wanted(), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_registers_leaves_bindings_within_the_rules(
    sequence: list[tuple[float, Wanted]],
) -> None:
    now = NOW
    stored: list[Binding] = []
    for passed_s, asked in sequence:
        now += passed_s
        result = register(stored, asked, now, LIMITS)
        before = [binding for binding in stored if binding.expires_at > now]
        if isinstance(result, Refusal):
            assert result.status in (400, 403, 423, 439, 500)
            continue
        stored = apply_change(stored, result)
        live = [binding for binding in stored if binding.expires_at > now]
        assert len({binding.key for binding in stored}) == len(stored)
        flows = [(binding.instance, binding.reg_id) for binding in live if binding.reg_id]
        assert len(set(flows)) == len(flows)
        assert len(live) <= max(LIMITS.max_contacts, len(before))
        assert all(binding.expires_at <= now + LIMITS.max_expires_s for binding in live)
        for one in result.stored:
            assert LIMITS.min_expires_s <= one.expires_at - now
            assert one.since <= now
            for other in live:
                if other is not one and same_uri(uri_of(one.contact), uri_of(other.contact)):
                    assert one.reg_id and other.reg_id
        # 10.3 step 7: nothing written by a later request of the same Call-ID is undone.
        for binding in before:
            if binding not in live:
                assert binding.call_id != asked.call_id or binding.cseq < asked.cseq


@given(st.lists(wanted(), max_size=12))
@settings(max_examples=100, deadline=None)
def test_carrying_a_change_out_twice_is_carrying_it_out_once(sequence: list[tuple[float, Wanted]]) -> None:
    stored: list[Binding] = []
    for _, asked in sequence:
        result = register(stored, asked, NOW, LIMITS)
        if not isinstance(result, Refusal):
            stored = apply_change(stored, result)
            assert set(apply_change(stored, result)) == set(stored)


@given(st.lists(st.tuples(st.sampled_from(["a@x", "b@x", "c@x"]), wanted(), st.integers(0, 3)), max_size=25))
@settings(max_examples=100, deadline=None)
def test_the_location_agrees_with_a_plain_list_and_counts_right(
    events: list[tuple[str, tuple[float, Wanted], int]],
) -> None:
    location = Location(1000)
    plain: dict[str, list[Binding]] = {}
    now = NOW
    for aor, (passed_s, asked), budget in events:
        now += passed_s
        asked.aor = aor
        result = register(location.stored(aor), asked, now, LIMITS)
        if not isinstance(result, Refusal):
            location.apply(result)
            plain[aor] = apply_change(plain.get(aor, []), result)
        location.sweep(now, budget)
        for name in ("a@x", "b@x", "c@x"):
            live = [one for one in plain.get(name, []) if one.expires_at > now]
            found = location.lookup(name, now)
            assert set(found) == set(live)
            assert [one.q for one in found] == sorted((one.q for one in live), reverse=True)
        assert location.count == sum(len(location.stored(name)) for name in ("a@x", "b@x", "c@x"))
    location.sweep(now + 10_000, 100)
    assert location.count == 0
