"""Registrations when the site changes: who goes on, who is replaced, and who is taken back."""

from accounts import CHALLENGE, TIMEOUT, Made, account, gateway
from oneproxy.site.model import Gateway
from oneproxy.trunks.registration_states import State


def test_what_has_not_changed_goes_on_as_it_was() -> None:
    made = Made(gateway()).registered()
    before = made.standing()
    made.wait(10.0)
    made.take(gateway())
    made.wait(100.0)
    assert (made.standing(), made.sent) == (before, [])


def test_a_password_that_is_right_now_is_tried_at_once() -> None:
    made = Made(gateway(register=account(password="wrong")))
    made.next().answer(401, CHALLENGE.format("n1"))
    made.next().answer(401, CHALLENGE.format("n2"))
    assert made.standing()[:4] == (State.WAITING, 401, "Said", "wrong-password")
    made.wait(1.0)
    assert made.sent == []
    told: list[float | None] = []
    made.all.on_sooner = lambda: told.append(made.all.deadline())
    made.take(gateway(register=account(password="right")))
    assert told == [made.now]
    made.next().answer(401, CHALLENGE.format("n3"))
    made.next().grant()
    assert made.all.is_registered(made.now, "p", "a")


def test_an_account_that_is_gone_is_taken_back() -> None:
    made = Made(gateway()).registered()
    made.wait(5.0)
    made.take()
    assert made.all.standings() == []
    assert not made.all.is_registered(made.now, "p", "a")
    last = made.next()
    assert (last.expires_s, last.header("Contact")) == (0, "<sip:a@192.0.2.1:5060>")
    last.answer(200)
    made.wait(2000.0)
    assert (made.sent, made.all.deadline()) == ([], None)


def test_so_is_one_whose_gateway_has_no_account_any_more() -> None:
    made = Made(gateway()).registered()
    made.take(Gateway("a", "sip:a.example.net"))
    assert made.next().expires_s == 0


def test_taking_back_is_asked_for_a_password_too() -> None:
    made = Made(gateway()).registered()
    made.take()
    made.next().answer(401, CHALLENGE.format("n1"))
    second = made.next()
    assert (second.expires_s, 'nonce="n1"' in second.header("Authorization")) == (0, True)
    second.come_to(TIMEOUT)
    assert made.all.deadline() is None


def test_many_are_taken_back_one_after_the_other() -> None:
    made = Made(*[gateway(f"g{number}") for number in range(100)])
    made.wait(5.0)
    for sent in made.sent:
        sent.grant()
    made.sent = []
    made.take()
    gone_at = made.now
    made.wait(5.0)
    assert [sent.expires_s for sent in made.sent] == [0] * 100
    times = [sent.at - gone_at for sent in made.sent]
    assert max(sum(second <= at < second + 1 for at in times) for second in range(5)) < 35


def test_what_was_never_registered_is_not_taken_back() -> None:
    made = Made(gateway())
    made.take()
    made.wait(100.0)
    assert made.sent == []
    made.take(gateway())
    made.next().come_to(TIMEOUT)
    made.take()
    made.wait(100.0)
    assert (made.sent, made.all.deadline()) == ([], None)


def test_one_that_is_gone_while_it_is_asked_about_is_taken_back_when_it_is_answered() -> None:
    made = Made(gateway())
    first = made.next()
    made.take()
    made.wait(1.0)
    assert made.sent == []
    first.grant()
    last = made.next()
    assert last.expires_s == 0
    last.answer(200)
    assert made.all.deadline() is None


def test_another_account_begins_when_the_old_one_is_taken_back() -> None:
    made = Made(gateway(register=account("old"))).registered()
    made.wait(5.0)
    made.take(gateway(register=account("new")))
    assert not made.all.is_registered(made.now, "p", "a")
    last = made.next()
    assert (last.user, last.expires_s) == ("old", 0)
    last.answer(200)
    first = made.next()
    assert (first.user, first.expires_s, first.at) == ("new", 600, made.now)
    first.grant()
    assert [one.aor for one in made.all.standings()] == ["sip:new@carrier.example"]


def test_it_waits_four_seconds_for_that_and_no_longer() -> None:
    made = Made(gateway(uri="sip:192.0.2.20")).registered()
    made.wait(5.0)
    made.take(gateway(uri="sip:192.0.2.21"))
    old = made.next()
    assert (old.request.towards, old.expires_s) == ("sip:192.0.2.20", 0)
    made.wait(3.9)
    assert made.sent == []
    made.wait(0.1)
    new = made.next()
    assert (new.request.towards, new.request.call_id) == ("sip:192.0.2.21", old.request.call_id)
    # RFC 3261 10.3 step 7: by this what takes back the old one undoes nothing, if it comes late.
    assert new.request.cseq > old.request.cseq
    new.grant()
    old.come_to(TIMEOUT)
    assert made.all.is_registered(made.now, "p", "a")


def test_an_answer_to_the_one_that_was_replaced_is_none_to_the_new_one() -> None:
    made = Made(gateway(register=account("old")))
    old = made.next()
    made.take(gateway(register=account("new")))
    made.wait(4.0)
    new = made.next()
    assert new.user == "new"
    old.answer(403)
    assert made.standing().state is State.REGISTERING
    new.grant()
    assert made.all.is_registered(made.now, "p", "a")
    assert made.all.is_registered(made.now + 599.0, "p", "a")


def test_one_that_is_late_takes_nothing_back_from_the_new_one() -> None:
    made = Made(gateway(uri="sip:192.0.2.20")).registered()
    made.take(gateway(uri="sip:192.0.2.21"))
    old = made.next()
    made.wait(4.0)
    made.next().grant()
    # The same registrar behind another address, maybe; a further request would have a later CSeq.
    old.answer(401, CHALLENGE.format("n1"))
    made.wait(100.0)
    assert made.sent == []
    assert made.all.is_registered(made.now, "p", "a")


def test_of_several_changes_the_last_one_counts() -> None:
    made = Made(gateway(register=account("a"))).registered()
    for user in "bcd":
        made.take(gateway(register=account(user)))
    last = made.next()
    assert (last.user, last.expires_s) == ("a", 0)
    for user in "ef":
        made.take(gateway(register=account(user)))
    assert made.sent == []
    last.answer(200)
    assert made.next().user == "f"
    assert made.sent == []


def test_one_that_is_changed_while_the_old_one_is_silent_waits_four_seconds_too() -> None:
    made = Made(gateway(register=account("a"))).registered()
    made.take(gateway(register=account("b")))
    assert made.next().user == "a"
    made.wait(2.0)
    made.take(gateway(register=account("c")))
    made.wait(4.0)
    assert made.next().user == "c"


def test_one_that_comes_back_is_registered_again_as_the_same() -> None:
    made = Made(gateway())
    first = made.next()
    first.grant()
    made.take()
    last = made.next()
    made.take(gateway())
    made.wait(1.0)
    assert made.sent == []
    last.answer(200)
    again = made.next()
    assert (again.expires_s, again.request.call_id) == (600, first.request.call_id)
    assert again.request.cseq > last.request.cseq
    again.grant()
    assert made.all.is_registered(made.now, "p", "a")


def test_one_that_comes_back_before_it_is_taken_back_goes_on() -> None:
    made = Made(gateway()).registered()
    before = made.standing()
    made.take()
    made.take(gateway())
    made.wait(100.0)
    assert (made.standing(), made.sent) == (before, [])


def test_one_that_comes_back_after_another_one_is_the_same_too() -> None:
    made = Made(gateway(register=account("a"))).registered()
    made.take(gateway(register=account("b")))
    last = made.next()
    made.take(gateway(register=account("a")))
    last.answer(200)
    assert made.next().user == "a"
    made.wait(100.0)
    assert made.sent == []
