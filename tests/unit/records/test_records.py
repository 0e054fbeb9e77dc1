"""The records of calls, each whole, as they come of what passes on the wire."""

import asyncio
from collections.abc import Container
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace
from structlog.testing import capture_logs

from oneproxy.engine.call import Call
from oneproxy.engine.decisions import Ask, Target
from oneproxy.records.entries import Kind, split
from oneproxy.records.file import give_back
from oneproxy.records.identifier import instant_of
from oneproxy.records.keeper import Keeper
from oneproxy.records.record import Record, decode_record, encode_record
from oneproxy.records.recording import Recording, q850_cause, text
from oneproxy.records.step import Records
from oneproxy.sip.message import Request
from oneproxy.site.model import Cdr, Domain, Route, Site
from routed import CALLER, Routed, dial, gateway, provider, site
from world import START, Peer, request, response

T = round(START * 1000)
ALICE = ("Contact: <sip:alice@192.0.2.10>", "User-Agent: Phone/1.0")
BOB = ("Contact: <sip:bob@192.0.2.20>", "User-Agent: Gate/2.0")
#: Of every call here that the trusted caller makes to a user.
OF_ALL = {
    "started_ms": T,
    "call_id": "call-1",
    "from_tag": "a",
    "caller_uri": "sip:alice@example.com",
    "caller": "alice@example.com",
    "domain": "example.com",
    "source": f"{CALLER}:5060",
    "transport": "udp",
    "node": "edge-0",
    "caller_agent": "Phone/1.0",
}


class Book(Routed):
    """A node in memory with a site that has records made, and those that were."""

    def __init__(self, of: Site, calls: int = 0) -> None:
        super().__init__(replace(of, cdr=Cdr(enabled=True)), calls)
        self.node = "edge-0"
        self.served: Container[str] = of.domains
        self.shift_s = 0.0
        self.records: list[Record] = []
        next(one for one in self.policy.steps if isinstance(one, Records)).writer = self

    def over(self, recording: Recording, call: Call) -> None:
        """A record is complete: it is read back from what the journal would have."""
        self.records.append(decode_record(encode_record(recording.complete(call))))

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """Where a 3xx leads, by the policy of a node."""
        return self.policy.redirected(ask, contacts)

    def bob(self, *hosts: str) -> None:
        """bob is registered at these hosts."""
        for host in hosts or ("192.0.2.20",):
            self.bind("bob@example.com", f"sip:bob@{host}")


def said(record: Record) -> dict[str, Any]:
    """What a record says, without what it leaves out, and its name, which is of its beginning."""
    assert instant_of(record.id) == record.started_ms
    known = {name: value for name, value in asdict(record).items() if value not in ("", 0, [])}
    del known["id"]
    known["attempts"] = [
        {name: value for name, value in asdict(one).items() if value not in ("", 0)}
        for one in record.attempts
    ]
    return known


def attempt(to: str, status: int, started: int, ended: int, **more: Any) -> dict[str, Any]:
    """One attempt; instants in milliseconds since the call began, that of the first response too."""
    heard = {"first_response_ms": T + more.pop("heard")} if "heard" in more else {}
    return {"to": to, "status": status, "started_ms": T + started, "ended_ms": T + ended, **heard, **more}


def newest(peer: Peer, method: str) -> Request:
    """The next request of this method that came to a peer, after what was sent again meanwhile."""
    while True:
        message = peer.take()
        if isinstance(message, Request) and message.method == method:
            return message


def user_site(**domain: Any) -> Site:
    """A site of users alone."""
    return site(authenticate=("INVITE",), **domain)


def answered_call(book: Book) -> str:
    """A call to bob that rings after one second and is answered after three; its Route."""
    caller, callee = book.peer(CALLER), book.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    invite = callee.take_request("INVITE")
    book.wait(1)
    callee.send(response(invite, 180, to_tag="b"))
    book.wait(2)
    callee.send(response(invite, 200, *BOB, to_tag="b"))
    caller.inbox.clear()
    return f"Route: {invite.get('record-route')}"


ANSWERED = OF_ALL | {
    "callee_uri": "sip:bob@example.com",
    "callee": "bob@example.com",
    "routed_callee": "sip:bob@192.0.2.20",
    "routed_caller": "alice@example.com",
    "to_tag": "b",
    "first_response_ms": T + 1000,
    "ringing_ms": T + 1000,
    "post_dial_delay_ms": 1000,
    "answered_ms": T + 3000,
    "status": 200,
    "callee_agent": "Gate/2.0",
    "attempts": [attempt("sip:bob@192.0.2.20", 200, 0, 3000, heard=1000)],
}


def test_a_call_that_the_callee_ends() -> None:
    book = Book(user_site())
    book.bob()
    route = answered_call(book)
    book.wait(7.25)
    caller, callee = book.peer(CALLER), book.peer("192.0.2.20")
    why = 'Reason: Q.850;cause=16;text="Normal call clearing"'
    bye = request(
        "BYE",
        "sip:alice@192.0.2.10",
        route,
        why,
        via="192.0.2.20",
        branch="z9hG4bKb",
        from_tag="b",
        to_tag="a",
    )
    callee.send(bye)
    caller.send(response(newest(caller, "BYE"), 200))
    assert [said(one) for one in book.records] == [
        ANSWERED
        | {
            "ended_ms": T + 10_250,
            "duration_ms": 7250,
            "ended_by": "callee",
            "reason": 'Q.850;cause=16;text="Normal call clearing"',
            "q850": 16,
        }
    ]


def test_a_call_whose_bye_is_lost_ends_by_the_timer_and_says_so() -> None:
    book = Book(user_site())
    book.bob()
    answered_call(book)
    book.wait(43_199)
    assert book.records == []
    book.wait(2)
    assert [said(one) for one in book.records] == [
        ANSWERED | {"ended_ms": T + 43_203_000, "duration_ms": 43_200_000, "ended_by": "timer"}
    ]


def test_of_byes_that_cross_the_earlier_one_is_the_end_and_there_is_one_record() -> None:
    book = Book(user_site())
    book.bob()
    route = answered_call(book)
    caller, callee = book.peer(CALLER), book.peer("192.0.2.20")
    book.wait(2)
    caller.send(request("BYE", "sip:bob@192.0.2.20", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
    book.wait(0.05)
    callee.send(
        request(
            "BYE",
            "sip:alice@192.0.2.10",
            route,
            via="192.0.2.20",
            branch="z9hG4bKb",
            from_tag="b",
            to_tag="a",
        )
    )
    callee.send(response(newest(callee, "BYE"), 200))
    caller.send(response(newest(caller, "BYE"), 200))
    book.wait(60)
    assert [said(one) for one in book.records] == [
        ANSWERED | {"ended_ms": T + 5000, "duration_ms": 2000, "ended_by": "caller"}
    ]


def test_a_cancel_that_a_200_crosses_is_a_call_that_the_bye_ends() -> None:
    book = Book(user_site())
    book.bob()
    caller, callee = book.peer(CALLER), book.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    book.wait(1)
    caller.send(request("CANCEL", "sip:bob@example.com"))
    callee.send(response(invite, 200, *BOB, to_tag="b"))
    book.wait(0.5)
    route = f"Route: {invite.get('record-route')}"
    caller.send(request("BYE", "sip:bob@192.0.2.20", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
    newest(callee, "CANCEL")
    callee.send(response(newest(callee, "BYE"), 200))
    assert [said(one) for one in book.records] == [
        {
            **{key: value for key, value in ANSWERED.items() if key != "post_dial_delay_ms"},
            "first_response_ms": T,
            "ringing_ms": T,
            "answered_ms": T + 1000,
            "ended_ms": T + 1500,
            "duration_ms": 500,
            "ended_by": "caller",
            "attempts": [attempt("sip:bob@192.0.2.20", 200, 0, 1000, heard=0)],
        }
    ]


def test_a_call_that_the_caller_gives_up_was_missed() -> None:
    book = Book(user_site())
    book.bob()
    caller, callee = book.peer(CALLER), book.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    invite = callee.take_request("INVITE")
    book.wait(1)
    callee.send(response(invite, 180, to_tag="b"))
    book.wait(8)
    caller.send(request("CANCEL", "sip:bob@example.com", 'Reason: SIP;cause=480;text="tired"'))
    callee.send(response(invite, 487, *BOB, to_tag="b"))
    left_out = ("answered_ms", "to_tag")
    assert [said(one) for one in book.records] == [
        {
            **{key: value for key, value in ANSWERED.items() if key not in left_out},
            "status": 487,
            "ended_ms": T + 9000,
            "ended_by": "caller",
            "reason": 'SIP;cause=480;text="tired"',
            "attempts": [attempt("sip:bob@192.0.2.20", 487, 0, 9000, heard=1000)],
        }
    ]


def test_of_a_fork_the_early_answer_is_another_ones_than_the_final_one() -> None:
    book = Book(user_site())
    book.bob("192.0.2.20", "192.0.2.21")
    caller, first, second = book.peer(CALLER), book.peer("192.0.2.20"), book.peer("192.0.2.21")
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    rung, answered = first.take_request("INVITE"), second.take_request("INVITE")
    book.wait(0.5)
    first.send(response(rung, 183, to_tag="early"))
    book.wait(0.5)
    second.send(response(answered, 180, to_tag="b"))
    book.wait(1)
    second.send(response(answered, 200, *BOB, to_tag="b"))
    newest(first, "CANCEL")
    book.wait(0.1)
    first.send(response(rung, 487, to_tag="early"))
    book.wait(1.9)
    route = f"Route: {answered.get('record-route')}"
    caller.send(request("BYE", "sip:bob@192.0.2.21", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
    second.send(response(newest(second, "BYE"), 200))
    assert [said(one) for one in book.records] == [
        ANSWERED
        | {
            "first_response_ms": T + 500,
            "post_dial_delay_ms": 500,
            "ringing_ms": T + 1000,
            "answered_ms": T + 2000,
            "ended_ms": T + 4000,
            "duration_ms": 2000,
            "ended_by": "caller",
            "routed_callee": "sip:bob@192.0.2.21",
            "attempts": [
                attempt("sip:bob@192.0.2.21", 200, 0, 2000, heard=1000),
                attempt("sip:bob@192.0.2.20", 487, 0, 2100, heard=500),
            ],
        }
    ]


def test_a_call_forwarded_by_302_has_both_attempts() -> None:
    of = user_site(follow_redirects=2)
    book = Book(of)
    book.bob()
    book.bind("carol@example.com", "sip:carol@192.0.2.30")
    caller, bob, carol = book.peer(CALLER), book.peer("192.0.2.20"), book.peer("192.0.2.30")
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    book.wait(0.25)
    bob.send(response(bob.take_request("INVITE"), 302, "Contact: <sip:carol@example.com>", to_tag="x"))
    invite = carol.take_request("INVITE")
    book.wait(0.75)
    carol.send(response(invite, 180, to_tag="b"))
    book.wait(2)
    carol.send(response(invite, 200, *BOB, to_tag="b"))
    book.wait(1)
    route = f"Route: {invite.get('record-route')}"
    caller.send(request("BYE", "sip:carol@192.0.2.30", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
    carol.send(response(newest(carol, "BYE"), 200))
    assert [said(one) for one in book.records] == [
        ANSWERED
        | {
            "ended_ms": T + 4000,
            "duration_ms": 1000,
            "ended_by": "caller",
            "routed_callee": "sip:carol@192.0.2.30",
            "attempts": [
                attempt("sip:bob@192.0.2.20", 302, 0, 250, heard=250),
                attempt("sip:carol@192.0.2.30", 200, 250, 3000, heard=1000),
            ],
        }
    ]


def test_a_call_that_failed_over_across_three_gateways_has_all_of_them() -> None:
    of = site((provider("p", gateway("g0"), gateway("g1"), gateway("g2")),), (Route("+351", provider="p"),))
    book = Book(of)
    caller = book.peer(CALLER)
    gates = [book.peer(f"192.0.2.2{place}") for place in range(3)]
    caller.send(dial("+351912345678", *ALICE))
    book.wait(0.1)
    gates[0].send(response(gates[0].take_request("INVITE"), 503, "Reason: Q.850;cause=34", to_tag="x"))
    gates[1].take_request("INVITE")
    while not gates[2].inbox:
        book.wait(0.5)
    silent = round((book.now - START) * 1000)
    invite = gates[2].take_request("INVITE")
    book.wait(1)
    gates[2].send(response(invite, 200, "Contact: <sip:gw@192.0.2.22>", "Server: Gate/2.0", to_tag="b"))
    book.wait(60)
    route = f"Route: {invite.get('record-route')}"
    caller.send(request("BYE", "sip:gw@192.0.2.22", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
    gates[2].send(response(newest(gates[2], "BYE"), 200))
    to = "sip:+351912345678@192.0.2.2"
    answered = silent + 1000
    [record] = [said(one) for one in book.records]
    tried = record["attempts"]
    gave_up = tried[1]["ended_ms"] - T
    assert silent - 500 <= gave_up <= silent
    assert record == OF_ALL | {
        "callee_uri": "sip:+351912345678@example.com",
        "callee": "+351912345678",
        "routed_callee": f"{to}2",
        "routed_caller": "alice@example.com",
        "to_tag": "b",
        "first_response_ms": T + answered,
        "post_dial_delay_ms": answered,
        "answered_ms": T + answered,
        "ended_ms": T + answered + 60_000,
        "duration_ms": 60_000,
        "status": 200,
        "ended_by": "caller",
        "provider": "p",
        "gateway": "g2",
        "callee_agent": "Gate/2.0",
        "attempts": [
            attempt(f"{to}0", 503, 0, 100, heard=100, provider="p", gateway="g0"),
            attempt(f"{to}1", 408, 100, gave_up, error="timeout", provider="p", gateway="g1"),
            attempt(f"{to}2", 200, gave_up, answered, heard=answered, provider="p", gateway="g2"),
        ],
    }


def test_calls_that_routing_refuses_have_records_that_say_why() -> None:
    of = site(routes=(Route("+900", refuse=403),))
    book = Book(of)
    caller = book.peer(CALLER)
    caller.send(dial("+900123", *ALICE))
    caller.send(request("INVITE", "sip:nobody@example.com", *ALICE, branch="z9hG4bK2", call_id="two"))
    assert [(one.callee, one.status, one.cause, one.ended_ms - T) for one in book.records] == [
        ("+900123", 403, "route", 0),
        ("nobody@example.com", 404, "", 0),
    ]
    assert [one.attempts for one in book.records] == [[], []]


def test_what_is_refused_before_it_is_routed_has_none() -> None:
    book = Book(user_site())
    book.bob()
    stranger = book.peer("198.51.100.66")
    stranger.send(request("INVITE", "sip:bob@example.com", via="198.51.100.66"))
    stranger.take_response(407)
    assert book.records == []


def test_who_gives_up_while_his_call_waits_to_be_decided_and_who_has_no_room() -> None:
    book = Book(user_site(), calls=1)
    book.bob()
    caller = book.peer(CALLER)
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE))
    caller.send(request("INVITE", "sip:bob@example.com", *ALICE, branch="z9hG4bK2", call_id="two"))
    assert [(one.call_id, one.status, one.ended_by) for one in book.records] == [("two", 503, "")]


def test_no_records_are_made_where_the_site_wants_none() -> None:
    book = Book(user_site())
    book.policy.take(replace(user_site(), cdr=Cdr(enabled=False)))
    book.bob()
    answered_call(book)
    assert book.engine.calls() == 0
    assert book.records == []


def test_texts_of_peers_are_unicode_without_nul_and_not_too_long() -> None:
    assert text("José".encode().decode("latin-1")) == "José"
    assert text("a\0b") == "a\ufffdb"
    assert text("\xff") == "\ufffd"
    assert len(text("x" * 1000)) == 256


def test_the_cause_of_q850_is_found_among_reasons() -> None:
    assert q850_cause('SIP;cause=200;text="x", Q.850;cause=17;text="Busy"') == 17
    assert q850_cause("q.850 ; cause = 31") == 31
    assert [q850_cause(one) for one in ("", "SIP;cause=16", "Q.850;cause=x", "Q.850")] == [0, 0, 0, 0]


def test_every_call_has_a_name_of_its_own_that_sorts_by_its_time() -> None:
    book = Book(user_site())
    caller = book.peer(CALLER)
    for number in range(50):
        caller.send(
            request("INVITE", "sip:nobody@example.com", branch=f"z9hG4bK{number}", call_id=f"c{number}")
        )
        book.wait(0.001)
    names = [one.id for one in book.records]
    assert len(set(names)) == 50
    assert [name[14] for name in names] == ["7"] * 50
    assert sorted(names, key=lambda name: name[:13]) == names


def test_a_route_that_redirects_is_recorded_with_302() -> None:
    book = Book(site(routes=(Route("+1", redirect="sip:elsewhere.example.net"),)))
    caller = book.peer(CALLER)
    caller.send(dial("+1555", *ALICE))
    assert [(one.status, one.callee, one.duration_ms) for one in book.records] == [(302, "+1555", 0)]


def test_a_domain_that_is_not_served_is_none_of_the_record() -> None:
    book = Book(Site({"example.com": Domain("example.com")}, {}, site().access))
    book.peer(CALLER).send(request("INVITE", "sip:x@elsewhere.invalid", *ALICE))
    assert [(one.domain, one.callee) for one in book.records] == [("", "x@elsewhere.invalid")]


class Killed(Book):
    """A node whose calls go on in another process: what is in the journal of each is all that lasts."""

    def __init__(self, of: Site, path: Path, since: float = START, shift_s: float = 0.0) -> None:
        super().__init__(of)
        self.now = since
        self.keeper = Keeper(str(path), self.engine.following.standing, "edge-0", of.domains, lambda: shift_s)
        self.engine.following.keeper = self.keeper
        next(one for one in self.policy.steps if isinstance(one, Records)).writer = self.keeper


def test_a_call_that_outlives_its_process_has_one_record_with_its_true_duration(tmp_path: Path) -> None:
    """The next process has another clock: that of the day counts."""
    path = tmp_path / "calls"
    written: list[bytes] = []

    async def scene() -> None:
        first = Killed(user_site(), path, shift_s=5.0)
        first.keeper.start(first.now, first.engine.following.adopt, first.step.trunks.adopt)
        first.bob()
        route = answered_call(first)
        await asyncio.sleep(0)
        give_back(first.keeper._claimed)
        second = Killed(user_site(), path, START + 105.0)
        second.keeper.start(second.now, second.engine.following.adopt, second.step.trunks.adopt)
        caller, callee = second.peer(CALLER), second.peer("192.0.2.20")
        caller.send(request("BYE", "sip:bob@192.0.2.20", route, branch="z9hG4bKa", cseq=2, to_tag="b"))
        callee.send(response(newest(callee, "BYE"), 200))
        written.extend(second.keeper.changes())
        second.keeper.close()

    asyncio.run(scene())
    kind, number, data = split(written[0])
    assert (kind, number) == (Kind.RECORD, 1)
    record = decode_record(data)
    assert (record.started_ms, record.answered_ms) == (T + 5000, T + 8000)
    assert (record.ended_ms, record.duration_ms, record.ended_by) == (T + 105_000, 97_000, "caller")
    assert (record.callee_agent, record.status, len(record.attempts)) == ("Gate/2.0", 200, 1)


def test_a_fault_of_ours_in_one_record_costs_no_other(tmp_path: Path) -> None:
    async def scene() -> None:
        book = Killed(user_site(), tmp_path / "calls")
        book.keeper.start(book.now, book.engine.following.adopt, book.step.trunks.adopt)
        caller = book.peer(CALLER)
        for name in ("one", "two"):
            made = request("INVITE", "sip:x@example.com", branch=f"z9hG4bK{name}", call_id=name)
            caller.send(made)
        recording = book.keeper._records[0][1]
        recording.draft = None
        recording._ask = None
        with capture_logs() as logs:
            entries = book.keeper.changes()
        assert [one["event"] for one in logs] == ["call not recorded"]
        assert (len(entries), book.keeper.unkept, b'"call_id":"two"' in entries[1]) == (2, 1, True)
        book.keeper.close()

    asyncio.run(scene())


def test_a_fault_of_ours_in_a_draft_leaves_the_call_kept_and_others_too(tmp_path: Path) -> None:
    async def scene() -> None:
        book = Killed(user_site(), tmp_path / "calls")
        book.keeper.start(book.now, book.engine.following.adopt, book.step.trunks.adopt)
        book.bob()
        answered_call(book)
        [followed] = book.engine.following.all()
        watch = followed.call.watch
        assert isinstance(watch, Recording)
        watch._ask = None
        with capture_logs() as logs:
            [entry] = book.keeper.changes()
        assert [one["event"] for one in logs] == ["call not recorded"]
        assert split(entry)[:2] == (Kind.STANDS, 1)
        assert book.keeper.changes() == []
        book.keeper.close()

    asyncio.run(scene())
