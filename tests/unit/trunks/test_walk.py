"""The walk of a call over gateways and providers, and the one answer that its caller gets."""

from typing import Any

import pytest

from oneproxy.trunks.answer import Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.trunks import Trunks
from oneproxy.trunks.walk import Walk
from trunking import NOW, at, begun, fail, gateway, name_of, provider, provider_of, site, state_of, trunks


def in_order(*names: str, **keys: Any) -> Trunks:
    return trunks(provider(*names, choice="order", **keys))


def walked(walk: Walk, *ends: tuple[int, str | None]) -> list[str]:
    """Who has the call after each of these ends."""
    found = [name_of(walk.begin(NOW))]
    for status, error in ends:
        found.append(name_of(walk.failed(NOW, status, error)))
    return found


def answer(walk: Walk, *ends: tuple[int, str | None]) -> Answer:
    walk.begin(NOW)
    for status, error in ends:
        result = walk.failed(NOW, status, error)
    assert isinstance(result, Answer)
    assert walk.attempt is None
    return result


SILENT = (408, "timeout")
REFUSED = (503, "transport")


@pytest.mark.parametrize(
    "end", [SILENT, REFUSED, (503, "name"), (500, None), (503, None), (408, None), (408, "no-answer")]
)
def test_the_next_gateway_is_tried_where_one_fails_and_each_once(end: tuple[int, str | None]) -> None:
    made = in_order("a", "b", "c")
    names = walked(made.walk("p"), end, end, end)
    assert names[:3] == ["a", "b", "c"]
    assert names[3] in {"500", "504"}
    assert [state_of(made, name).calls for name in "abc"] == [0, 0, 0]


@pytest.mark.parametrize("status", [302, 403, 404, 480, 486, 487, 501, 505, 600, 603])
def test_an_answer_of_the_callee_is_the_answer(status: int) -> None:
    found = answer(in_order("a", "b").walk("p"), (503, None), (status, None))
    assert (found.status, found.cause) == (status, "")


def test_nobody_else_is_tried_after_the_callee_was_reached() -> None:
    for ringing in (True, False):
        made = in_order("a", "b")
        walk, attempt = begun(made)
        attempt.responded(NOW + 0.1)
        if ringing:
            attempt.reached(NOW + 0.2)
        assert name_of(walk.failed(NOW + 1, 503)) == ("500" if ringing else "b")


def test_a_code_may_lead_to_the_next_gateway_without_being_its_fault() -> None:
    made = in_order("a", "b", next_codes=(404,))
    for _ in range(20):
        assert walked(made.walk("p"), (404, None), (486, None)) == ["a", "b", "486"]
    assert state_of(made, "a").rate() == 1.0
    # His own word goes back: that of the second one.
    found = answer(made.walk("p"), (404, None), (486, None))
    assert (found.status, found.place) == (486, 1)
    # Where all say so, so is the caller told.
    found = answer(made.walk("p"), (404, None), (404, None))
    assert (found.status, found.place) == (404, 0)


def test_the_fallback_follows_and_its_fallback() -> None:
    made = trunks(
        provider("a", name="p", fallback="q"),
        provider("b", name="q", fallback="r"),
        provider("c", "d", name="r", choice="order"),
    )
    ends = [SILENT] * 4
    assert walked(made.walk("p"), *ends) == ["a", "b", "c", "d", "504"]


def test_a_circle_that_was_written_by_hand_ends() -> None:
    made = trunks(provider("a", name="p", fallback="q"), provider("b", name="q", fallback="p"))
    assert walked(made.walk("p"), SILENT, SILENT) == ["a", "b", "504"]
    fail(made, "a", 9)
    assert name_of(made.walk("p").begin(NOW)) == "a"


def test_a_full_provider_leaves_calls_to_its_fallback_and_counts_them() -> None:
    made = trunks(
        provider(gateway("a", max_calls=1), name="p", fallback="q"),
        provider(gateway("b", max_calls=1), name="q"),
    )
    assert [name_of(made.walk("p").begin(NOW)) for _ in range(4)] == ["a", "b", "503", "503"]
    assert (provider_of(made, "p").full, provider_of(made, "q").full) == (3, 2)
    assert (provider_of(made, "p").unhealthy, provider_of(made, "q").unhealthy) == (0, 0)


def test_all_full_is_told_apart_from_none_healthy() -> None:
    made = trunks(provider(gateway("a", max_calls=1), name="p"), provider("b", name="q"))
    at(made, "a")
    found = made.walk("p").begin(NOW)
    assert isinstance(found, Answer)
    assert (found.status, found.cause, found.retry_after_s, found.place) == (503, "gateways-full", 5, -1)
    walk, _ = begun(made, NOW, "q")
    walk.failed(NOW, 503, retry_after_s=10)
    found = made.walk("q").begin(NOW)
    assert isinstance(found, Answer)
    assert (found.status, found.cause, found.retry_after_s) == (503, "gateways-down", 20)
    assert (provider_of(made, "q").full, provider_of(made, "q").unhealthy) == (0, 1)
    found = made.walk("nobody").begin(NOW)
    assert isinstance(found, Answer)
    assert (found.status, found.cause) == (503, "no-provider")


def down(made: Trunks, name: str, provider: str = "p") -> None:
    for _ in range(3):
        provider_of(made, provider).probed(NOW, name, 408, "timeout")


def test_where_all_are_silent_to_options_the_fallback_has_the_calls() -> None:
    made = trunks(provider("a", name="p", fallback="q"), provider("b", name="q"))
    down(made, "a")
    assert name_of(made.walk("p").begin(NOW)) == "b"
    assert provider_of(made, "p").unhealthy == 1


def test_where_nobody_at_all_is_healthy_one_gateway_is_tried_all_the_same() -> None:
    made = trunks(provider("a", "b", name="p", fallback="q"), provider("c", name="q"))
    for name, of in (("a", "p"), ("b", "p"), ("c", "q")):
        down(made, name, of)
    walk = made.walk("p")
    first = walk.begin(NOW)
    assert name_of(first) in "ab"
    # One, so that the caller is not kept waiting by all of them.
    assert name_of(walk.failed(NOW + 3, 408, "timeout")) == "504"
    assert (provider_of(made, "p").panics, provider_of(made, "q").panics) == (1, 0)


def test_when_all_others_have_failed_those_that_were_ejected_are_tried() -> None:
    made = trunks(provider("a", "b", "c", "d", choice="order", panic_percent=0))
    fail(made, "a", 5)
    fail(made, "b", 5)
    assert walked(made.walk("p"), (503, None), (503, None), (503, None)) == ["c", "d", "a", "b"]
    assert provider_of(made).panics == 2
    # It says nothing of their health.
    assert [one.health.state.value for one in provider_of(made).gateways] == [
        "ejected",
        "ejected",
        "up",
        "up",
    ]
    down(made, "b")
    assert walked(made.walk("p"), (503, None), (503, None), (503, None)) == ["c", "d", "a", "500"]


def test_nobody_waits_for_ejected_gateways_who_has_waited_before() -> None:
    made = trunks(provider("a", "b", choice="order"))
    fail(made, "a", 5)
    walk, _ = begun(made)
    assert name_of(walk.failed(NOW + 3, 408, "timeout")) == "504"
    walk, _ = begun(made)
    assert name_of(walk.failed(NOW + 2.9, 500)) == "a"


def test_where_there_is_no_room_health_is_believed() -> None:
    made = trunks(provider(gateway("a", max_calls=1), "b", name="p"))
    down(made, "b")
    at(made, "a")
    found = made.walk("p").begin(NOW)
    assert isinstance(found, Answer)
    assert found.cause == "gateways-full"


@pytest.mark.parametrize(
    ("ends", "status", "place"),
    [
        ([(503, None)], 500, -1),
        ([(503, None), (503, None)], 500, -1),
        ([REFUSED], 500, -1),
        ([SILENT], 504, -1),
        ([(408, None)], 504, -1),
        ([(408, "no-answer")], 504, -1),
        ([SILENT, (502, None)], 502, 1),
        ([(503, None), (502, None)], 502, 1),
        ([SILENT, (503, None)], 500, -1),
        ([SILENT, (486, None)], 486, 1),
        ([SILENT, (408, None)], 504, -1),
        ([SILENT, (501, None)], 501, 1),
        ([(500, None), (603, None)], 603, 1),
        ([(503, "full")], 503, -1),
        ([(503, None), (482, "loop")], 482, -1),
    ],
)
def test_the_caller_gets_the_best_answer_and_no_503_of_a_gateway(
    ends: list[tuple[int, str | None]], status: int, place: int
) -> None:
    found = answer(in_order(*"abc"[: len(ends)]).walk("p"), *ends)
    assert (found.status, found.place) == (status, place)
    assert found.reason


def test_a_503_after_the_callee_was_reached_goes_up_as_500() -> None:
    walk, attempt = begun(in_order("a", "b"))
    attempt.reached(NOW)
    assert name_of(walk.failed(NOW, 503)) == "500"


def test_a_gateway_has_the_call_from_its_invite_to_the_end() -> None:
    made = in_order("a", "b")
    walk, first = begun(made)
    assert (first.uri, first.try_for_s) == ("sip:a.example.net", 3.0)
    second = walk.failed(NOW + 1, 500)
    assert isinstance(second, Attempt)
    assert (state_of(made, "a").calls, state_of(made, "b").calls) == (0, 1)
    second.answered(NOW + 2)
    assert (state_of(made, "a").calls, state_of(made, "b").calls) == (0, 1)
    walk.end(NOW + 100)
    walk.end(NOW + 100)
    assert state_of(made, "b").calls == 0
    assert state_of(made, "b").ends["2xx"] == 1


def test_a_walk_goes_on_while_the_site_changes() -> None:
    made = trunks(provider("a", "b", name="p", choice="order", fallback="q"), provider("c", name="q"))
    walk, _ = begun(made)
    made.take(site(provider("a", "d", name="p", choice="order", fallback="q"), provider("c", name="q")))
    assert name_of(walk.failed(NOW, 500)) == "d"
    made.take(site(provider("c", name="q")))
    assert name_of(walk.failed(NOW, 500)) == "c"
    assert [name_of(made.walk(name).begin(NOW)) for name in "pq"] == ["503", "c"]


def test_a_failure_that_comes_after_the_end_leads_nowhere() -> None:
    made = in_order("a", "b")
    walk, _ = begun(made)
    walk.end(NOW + 1)
    assert name_of(walk.failed(NOW + 1, 487)) == "487"
    assert (state_of(made, "a").calls, state_of(made, "b").calls) == (0, 0)
