"""The `location` table, on both databases."""

from collections.abc import Iterator

import pytest
from msgspec import structs
from sqlalchemy import Connection, text

from oneproxy.registrar.bindings import Binding, Change, meaning
from oneproxy.registrar.rules import apply_change
from oneproxy.store import locations
from oneproxy.store.database import Database
from oneproxy.store.locations import (
    MAX_BINDING_OCTETS,
    MAX_KEY_OCTETS,
    START,
    apart,
    page,
    save,
    sweep,
    unfit,
)

NOW = 1_700_000_000.25
EVERY_OCTET = "".join(map(chr, range(1, 256)))


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = Database("proxy", database_url)
    database.open()
    yield database.connection()
    database.drop()


def binding(contact: str, expires_at: float = NOW + 60, cseq: int = 1) -> Binding:
    return Binding(contact, expires_at, 1000, "call", cseq, "udp:192.0.2.7:5060", NOW)


def stored(connection: Connection, now: float = NOW) -> list[tuple[str, Binding]]:
    rows, last = page(connection, now, "")
    assert last
    return rows


def test_a_binding_comes_back_as_it_went(connection: Connection) -> None:
    full = Binding(
        EVERY_OCTET,
        NOW + 0.125,
        333,
        EVERY_OCTET,
        2**31 - 1,
        "tls:[2001:db8::1]:5061",
        NOW - 1e6,
        ("<sip:p1;lr>", EVERY_OCTET),
        EVERY_OCTET,
        '"<urn:uuid:0>"',
        2**31 - 1,
        EVERY_OCTET,
    )
    save(connection, [Change("josé@example.com", (), (full,))])
    connection.commit()
    assert stored(connection) == [("josé@example.com", full)]


def test_saving_replaces_what_has_the_same_contact_and_removes_what_goes(connection: Connection) -> None:
    save(connection, [Change("a@x", (), (binding("sip:1"), binding("sip:2"), binding("sip:3")))])
    connection.commit()
    save(
        connection,
        [
            Change("a@x", ("sip:1",), (binding("sip:2", cseq=2), binding("sip:4"))),
            Change("b@x", ("sip:2",), (binding("sip:1"),)),
        ],
    )
    connection.commit()
    assert stored(connection) == [
        ("a@x", binding("sip:2", cseq=2)),
        ("a@x", binding("sip:3")),
        ("a@x", binding("sip:4")),
        ("b@x", binding("sip:1")),
    ]


def test_two_flows_of_one_contact_are_two_rows(connection: Connection) -> None:
    """RFC 5626 6: bindings are told by instance and reg-id."""

    def of_flow(reg_id: int, flow: str) -> Binding:
        return Binding("sip:1", NOW + 60, 1000, "c", 1, "tcp:h", NOW, (), "", "<urn:x>", reg_id, flow)

    one, two, moved = of_flow(1, "tcp/1"), of_flow(2, "tcp/2"), of_flow(2, "tcp/3")
    save(connection, [Change("a@x", (), (binding("sip:1"), one, two))])
    save(connection, [Change("a@x", (binding("sip:1").key,), (moved,))])
    connection.commit()
    assert stored(connection) == [("a@x", one), ("a@x", moved)]
    save(connection, [Change("a@x", (one.key,), ())])
    connection.commit()
    assert stored(connection) == [("a@x", moved)]
    assert page(connection, NOW, "a@x") == ([], True)


def test_saving_twice_has_no_further_effect(connection: Connection) -> None:
    changes = [Change("a@x", ("sip:1",), (binding("sip:2"),)), Change("a@x", (), (binding("sip:1"),))]
    for _ in range(2):
        save(connection, changes)
        connection.commit()
        assert stored(connection) == [("a@x", binding("sip:1")), ("a@x", binding("sip:2"))]


def test_changes_of_one_group_take_effect_in_their_order(connection: Connection) -> None:
    changes = [
        Change("a@x", (), (binding("sip:1"), binding("sip:2"))),
        Change("b@x", (), (binding("sip:1"),)),
        Change("a@x", ("sip:1",), ()),
        Change("a@x", ("sip:3",), (binding("sip:2", cseq=2),)),
        Change("a@x", (), (binding("sip:3"),)),
    ]
    assert [len(part) for part in apart(changes)] == [2, 2, 1]
    save(connection, changes)
    connection.commit()
    assert stored(connection) == [
        ("a@x", binding("sip:2", cseq=2)),
        ("a@x", binding("sip:3")),
        ("b@x", binding("sip:1")),
    ]


def test_what_is_removed_is_the_binding_that_was_meant_and_no_other(connection: Connection) -> None:
    """A phone whose flow has closed at one machine may be registered anew at another."""
    old, new = binding("sip:1"), binding("sip:1", cseq=2)
    gone = Change("a@x", ("sip:1",), (), (meaning(old),))
    other = structs.replace(old, call_id="other")
    for there, left in [(old, []), (new, [("a@x", new)]), (other, [("a@x", other)])]:
        save(connection, [Change("a@x", ("sip:1",), (there,))])
        save(connection, [gone])
        connection.commit()
        assert stored(connection) == left


def test_a_register_that_another_machine_has_overtaken_undoes_nothing(connection: Connection) -> None:
    """RFC 3261 10.3 step 7, where two machines share the database."""
    new = binding("sip:1", cseq=5)
    for late, left in [
        (binding("sip:1", cseq=4), new),
        (binding("sip:1", NOW + 90, cseq=5), binding("sip:1", NOW + 90, cseq=5)),
        (structs.replace(binding("sip:1", cseq=1), call_id="begun anew"), None),
        # It was over when this one came, so the phone may count from the beginning.
        (structs.replace(binding("sip:1", NOW + 120, cseq=1), since=NOW + 60), None),
    ]:
        save(connection, [Change("a@x", ("sip:1",), (new,))])
        save(connection, [Change("a@x", (), (late,))])
        connection.commit()
        assert stored(connection) == [("a@x", left or late)]


def test_what_comes_after_each_other_in_one_group_is_what_memory_makes_of_it(connection: Connection) -> None:
    old, new = binding("sip:1", cseq=1), binding("sip:1", cseq=3)
    changes = [
        Change("a@x", (), (new,)),
        Change("a@x", ("sip:1",), (), (meaning(old),)),
        Change("a@x", (), (binding("sip:1", cseq=2), binding("sip:2"))),
        Change("a@x", ("sip:2", "sip:2"), (binding("sip:2", cseq=0),), (("call", 1), ("other", 9))),
    ]
    save(connection, changes)
    connection.commit()
    memory: list[Binding] = []
    for change in changes:
        memory = apply_change(memory, change)
    assert [row for _, row in stored(connection)] == memory == [new, binding("sip:2", cseq=0)]


def test_nothing_to_save_is_no_statement(connection: Connection) -> None:
    save(connection, [])
    save(connection, [Change("a@x", (), ())])
    connection.commit()
    assert stored(connection) == []


def test_pages_bring_each_living_binding_once(connection: Connection) -> None:
    # Keys that a language would sort otherwise, and that only differ in their case.
    keys = [
        (aor, contact)
        for aor in ("B@x", "a@x", "a-b@x", "ab@x", "é@x", "A@x")
        for contact in ("s2", "S1", "s10")
    ]
    save(connection, [Change(aor, (), (binding(contact),)) for aor, contact in keys])
    save(connection, [Change("c@x", (), (binding("dead", NOW), binding("alive", NOW + 0.01)))])
    connection.commit()
    found: list[tuple[str, str]] = []
    last = False
    while not last:
        rows, last = page(connection, NOW, found[-1][0] if found else "", 4)
        found += [(aor, row.contact) for aor, row in rows]
    assert found == sorted([*keys, ("c@x", "alive")])


def test_a_page_has_all_bindings_of_each_of_its_addresses(connection: Connection) -> None:
    keys = [(aor, contact) for aor in ("a@x", "b@x", "c@x") for contact in ("s1", "s2", "s3")]
    save(connection, [Change(aor, (), (binding(contact),)) for aor, contact in keys])
    connection.commit()
    for rows, aors in [(1, "a"), (3, "a"), (4, "ab"), (6, "ab"), (7, "abc")]:
        found, last = page(connection, NOW, "", rows)
        assert ([(aor, row.contact) for aor, row in found], last) == (keys[: 3 * len(aors)], False)
    assert page(connection, NOW, "", 10)[1]
    assert page(connection, NOW, "c@x", 1) == ([], True)


def test_some_addresses_are_read_by_name(connection: Connection) -> None:
    save(connection, [Change(aor, (), (binding("s2"), binding("s1"))) for aor in ("a@x", "é@x", "c@x")])
    save(connection, [Change("dead@x", (), (binding("s1", NOW),))])
    connection.commit()
    found = locations.fetch(connection, NOW, ["é@x", "none@x", "a@x", "dead@x"])
    assert [(aor, row.contact) for aor, row in found] == [
        ("a@x", "s1"),
        ("a@x", "s2"),
        ("é@x", "s1"),
        ("é@x", "s2"),
    ]
    assert locations.fetch(connection, NOW, []) == []


def test_people_page_through_the_addresses_of_one_prefix(connection: Connection) -> None:
    keys = [(aor, contact) for aor in ("a@x", "ab@x", "abc@x", "b@x", "é@x") for contact in ("s1", "s2")]
    save(connection, [Change(aor, (), (binding(contact),)) for aor, contact in keys])
    save(connection, [Change("ab@x", (), (binding("dead", NOW),))])
    connection.commit()

    def listed(prefix: str, after: tuple[str, str] = START, rows: int = 100) -> list[tuple[str, str]]:
        found = locations.listing(connection, NOW, after, prefix, rows)
        return [(aor, row.contact) for aor, row in found]

    assert listed("") == keys
    assert listed("ab") == keys[2:6]
    assert listed("ab", rows=3) == keys[2:5]
    assert listed("ab", keys[4], 3) == keys[5:6]
    assert listed("ab%") == []
    assert listed("é") == keys[8:]


def test_sweeping_goes_through_the_table_in_steps_and_leaves_what_lives(connection: Connection) -> None:
    contacts = [f"sip:{number:02}" for number in range(10)]
    rows = [binding(contact, NOW + number % 2) for number, contact in enumerate(contacts)]
    save(connection, [Change("a@x", (), tuple(rows))])
    connection.commit()
    assert sweep(connection, NOW, START, 4) == ("a@x", "sip:03")
    assert len(stored(connection, 0)) == 8
    assert sweep(connection, NOW, ("a@x", "sip:03"), 4) == ("a@x", "sip:07")
    assert sweep(connection, NOW, ("a@x", "sip:07"), 4) is None
    assert [row.contact for _, row in stored(connection, 0)] == contacts[1::2]
    assert sweep(connection, NOW, START, 4) == ("a@x", "sip:07")
    connection.commit()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change("a@x", ("c" * (MAX_KEY_OCTETS - 3),), (binding("c" * (MAX_KEY_OCTETS - 3)),)), None),
        (Change("a@x", ("c" * (MAX_KEY_OCTETS - 2),), ()), "contact too long"),
        (Change("a@x", (), (binding("é" * (MAX_KEY_OCTETS // 2)),)), "contact too long"),
        (Change("a@x", ("a\0",), ()), "NUL in a text"),
        (Change("a\0@x", (), (binding("sip:1"),)), "NUL in a text"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a\0", 1, "s", 1.0),)), "NUL in a text"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a", 1, "s", 1.0, ("a\0",)),)), "NUL in a text"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a", 1, "s", 1.0, flow="a\0"),)), "NUL in a text"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a", 2**31, "s", 1.0),)), "number out of range"),
        (Change("a@x", (), (Binding("c", 1.0, 2**31, "a", 1, "s", 1.0),)), "number out of range"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a", 1, "s", 1.0, reg_id=-1),)), "number out of range"),
        (Change("a@x", (), (Binding("c", 1.0, 1, "a" * (MAX_BINDING_OCTETS - 1), 1, "s", 1.0),)), None),
        (
            Change("a@x", (), (Binding("c", 1.0, 1, "a" * MAX_BINDING_OCTETS, 1, "s", 1.0),)),
            "binding too long",
        ),
    ],
)
def test_what_no_database_takes_is_known_before_and_the_rest_is_taken(
    connection: Connection, change: Change, reason: str | None
) -> None:
    assert unfit(change) == reason
    if reason is None:
        # Text that does not compress away, since PostgreSQL compresses before it measures.
        save(connection, [change])
        connection.commit()


def test_the_longest_key_fits_even_when_it_does_not_compress(connection: Connection) -> None:
    import random  # noqa: PLC0415

    letters = random.Random(1).choices([chr(code) for code in range(33, 127)], k=MAX_KEY_OCTETS - 3)
    contact = "".join(letters)
    save(connection, [Change("a@x", (), (binding(contact),))])
    connection.commit()
    assert stored(connection) == [("a@x", binding(contact))]


def test_people_can_read_the_table(connection: Connection) -> None:
    full = Binding(
        "sip:1",
        NOW,
        500,
        "call",
        7,
        "wss:192.0.2.7:5060",
        NOW,
        ("<sip:p;lr>",),
        "Phone/1",
        "<urn:x>",
        1,
        "wss/0a1b2c3d.7",
    )
    save(connection, [Change("a@x", (), (full,))])
    connection.commit()
    row = connection.execute(text("SELECT * FROM location")).mappings().one()
    assert dict(row) == {
        "aor": "a@x",
        "contact": "sip:1 1 <urn:x>",
        "expires_at": NOW,
        "q": 500,
        "call_id": "call",
        "cseq": 7,
        "source": "wss:192.0.2.7:5060",
        "since": NOW,
        "path": '["<sip:p;lr>"]',
        "user_agent": "Phone/1",
        "instance": "<urn:x>",
        "reg_id": 1,
        "flow": "wss/0a1b2c3d.7",
    }
    assert locations.PAGE == 2_000
