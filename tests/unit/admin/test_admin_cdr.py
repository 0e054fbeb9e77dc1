"""Call records over HTTP."""

from typing import Any

import pytest

from office import Api, MemoryDesk, play
from oneproxy.ipc.call_records import FindRecords
from oneproxy.ipc.desk import (
    Refused,
)
from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from recorded import AT_MS, a_record, id_at

CALLS = [a_record(number, AT_MS - number) for number in range(5)]


def test_the_newest_come_first_and_pages_follow() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.records = list(CALLS)
        page = await api.get("/v1/cdr?limit=2")
        ids = [one["id"] for one in page["items"]]
        # What comes meanwhile is on no page that follows.
        desk.records.insert(0, a_record(9, AT_MS + 9))
        while page["next"]:
            page = await api.get(f"/v1/cdr?limit=2&after={page['next']}")
            ids += [one["id"] for one in page["items"]]
        assert ids == [one.id for one in CALLS]

    play(scene)


def test_a_record_has_every_column() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.records = [a_record(), Record(id_at(0), 0)]
        whole, least = (await api.get("/v1/cdr"))["items"]
        assert whole == await api.get(f"/v1/cdr/{a_record().id.upper()}")
        assert list(whole) == list(least)
        assert whole["started_at"] == "2026-11-25T10:58:29.123Z"
        assert (whole["answered_at"], whole["duration_ms"]) == ("2026-11-25T10:58:34.123Z", 60_000)
        assert whole["attempts"][0] == {
            "to": "sip:00351912345678@198.51.100.6",
            "status": 503,
            "error": None,
            "provider": "carrier-a",
            "gateway": "a2",
            "started_at": "2026-11-25T10:58:29.123Z",
            "first_response_at": None,
            "ended_at": "2026-11-25T10:58:29.222Z",
        }
        said = {name: value for name, value in least.items() if value not in (None, [])}
        assert said == {"id": id_at(0), "started_at": "1970-01-01T00:00:00.000Z"}

    play(scene)


def test_a_call_that_was_answered_and_over_at_once_has_a_duration() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.records = [a_record(duration_ms=0)]
        assert (await api.get("/v1/cdr"))["items"][0]["duration_ms"] == 0

    play(scene)


def test_what_is_not_there_is_not_found() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.records = list(CALLS)
        for id_ in (id_at(1), "x", "0", CALLS[0].id.replace("-", "")):
            assert await api.refused("GET", f"/v1/cdr/{id_}") == (404, "not-found")

    play(scene)


def test_every_filter_is_asked_for() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        await api.get(
            "/v1/cdr?number=1&caller=%2B2&callee=3&call_id=4&gateway=a%2Fb&provider=6&status=4xx"
            "&since=2026-11-25T10:00&until=2026-11-25T11:00Z&failed=true&limit=7"
        )
        begin = AT_MS // 3_600_000 * 3_600_000
        wanted = Wanted("1", "+2", "3", "4", "a/b", "6", 400, 499, begin, begin + 3_600_000, False)
        assert desk.questions == [FindRecords(wanted, None, 7)]

    play(scene)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("status=busy", "status"),
        ("since=noon", "since"),
        ("until=2x", "until"),
        ("number=%00", "number"),
        ("call_id=" + "x" * 257, "call_id"),
        ("answered=perhaps", "answered"),
        ("answered=true&failed=true", "failed"),
        ("limit=501", "limit"),
        ("after=x", "after"),
        ("after=WyIxIiwieCJd", "after"),
    ],
)
def test_a_mistake_names_the_parameter_and_what_is_allowed(query: str, key: str) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        answer = await api.ask("GET", f"/v1/cdr?{query}")
        problem: dict[str, Any] = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "mistakes")
        (mistake,) = problem["mistakes"]
        assert mistake["key"] == key
        assert mistake["found"] and mistake["allowed"]
        assert desk.questions == []

    play(scene)


def test_a_search_that_takes_too_long_is_the_askers_to_narrow() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.refusal = Refused("slow", "the search takes longer than 4 s; say `since`")
        assert await api.refused("GET", "/v1/cdr?number=*5") == (422, "slow-search")

    play(scene)
