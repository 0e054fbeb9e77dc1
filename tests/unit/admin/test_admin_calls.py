"""The calls that are on over HTTP, and ending one."""

import pytest
from structlog.testing import capture_logs

from office import NOW, TOKENS, Api, MemoryDesk, play
from oneproxy.ipc.calls import AskCalls, CallFound, EndCall
from oneproxy.ipc.desk import HealthFound

CALL = CallFound(
    "0190-1",
    "answered",
    "alice@x.org",
    "+351912345678",
    "x.org",
    "192.0.2.7:5060",
    "carrier",
    "a1",
    NOW,
    NOW + 3,
    61.25,
    "edge-1",
)
BARE = CallFound("0190-2", "ringing", "a", "b", "", "", "", "", NOW + 1, 0.0, 2.0, "edge-2")


def test_calls_are_listed() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.calls = [CALL, BARE]
        desk.health = HealthFound("", "", 1, [], ("edge-3",))
        first = {
            "node": "edge-1",
            "id": "0190-1",
            "state": "answered",
            "caller": "alice@x.org",
            "callee": "+351912345678",
            "domain": "x.org",
            "source": "192.0.2.7:5060",
            "provider": "carrier",
            "gateway": "a1",
            "since": "2023-11-14T22:13:20.000Z",
            "answered_at": "2023-11-14T22:13:23.000Z",
            "seconds": 61.25,
        }
        second = {
            "node": "edge-2",
            "id": "0190-2",
            "state": "ringing",
            "caller": "a",
            "callee": "b",
            "domain": None,
            "source": None,
            "provider": None,
            "gateway": None,
            "since": "2023-11-14T22:13:21.000Z",
            "answered_at": None,
            "seconds": 2.0,
        }
        counts = {"total": 2, "matching": 2, "unseen": 0, "silent": ["edge-3"]}
        assert await api.get("/v1/calls") == {"items": [first, second]} | counts
        assert (await api.get("/v1/calls?limit=1"))["items"] == [first]
        assert desk.questions == [AskCalls(), AskCalls(most=1)]

    play(scene)


def test_calls_are_asked_for_by_number_state_provider_and_gateway() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        query = "number=%2B3519&state=ringing&provider=carrier&gateway=a1&limit=1000"
        assert (await api.get(f"/v1/calls?{query}"))["items"] == []
        assert desk.questions == [AskCalls("+3519", "ringing", "carrier", "a1", 1000)]

    play(scene)


@pytest.mark.parametrize("query", ["state=over", "limit=0", "limit=1001", "limit=x", f"number={'1' * 257}"])
def test_what_cannot_be_asked_for_is_a_mistake(query: str) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert await api.refused("GET", f"/v1/calls?{query}") == (422, "mistakes")
        assert desk.questions == []

    play(scene)


def test_a_call_is_ended_by_who_may_write_and_that_is_logged() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.calls = [CALL, BARE]
        refused = await api.ask("DELETE", "/v1/calls/0190-1", token=TOKENS["reader"])
        assert (refused.status_code, refused.json()["code"]) == (403, "read-only")
        assert desk.questions == []
        with capture_logs() as logged:
            answer = await api.ask("DELETE", "/v1/calls/0190-1?reason=Fecho%20%C3%A0s%2018")
        assert answer.status_code == 200
        assert answer.json() == {"id": "0190-1", "node": "edge-1", "silent": []}
        assert desk.questions == [EndCall("0190-1", "Fecho às 18")]
        assert desk.calls == [BARE]
        (line,) = [one for one in logged if one["event"] == "change asked for"]
        assert (line["who"], line["path"], line["status"]) == ("writer", "/v1/calls/0190-1", 200)

    play(scene)


def test_a_call_that_nobody_has_is_not_found() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert await api.refused("DELETE", "/v1/calls/0190-9") == (404, "not-found")
        # Who was not heard may have it.
        desk.health = HealthFound("", "", 1, [], ("edge-3",))
        assert await api.refused("DELETE", "/v1/calls/0190-9") == (503, "nodes-silent")

    play(scene)


@pytest.mark.parametrize("reason", ["a%0D%0AVia:%20x", "%00", "%1B", "x" * 101])
def test_a_reason_that_no_phone_is_to_be_told_is_a_mistake(reason: str) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.calls = [CALL]
        assert await api.refused("DELETE", f"/v1/calls/0190-1?reason={reason}") == (422, "mistakes")
        assert desk.calls == [CALL]

    play(scene)
