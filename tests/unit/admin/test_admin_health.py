"""Bans, health, and what is answered when recorder or database are away or too slow."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from office import NOW, Api, MemoryDesk, play
from oneproxy.admin import requests
from oneproxy.ipc.call_records import RecordsHealth
from oneproxy.ipc.desk import (
    BanFound,
    HealthFound,
    NodeHealth,
    Refused,
)


def test_bans_are_listed_and_lifted() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for name in ("192.0.2.1", "2001:db8::/64", "alice@x.org"):
            desk.bans[name] = BanFound(name, "source", NOW, NOW + 600, "wrong-password")
        found = await api.get("/v1/bans?limit=2")
        assert found["items"][0] == {
            "name": "192.0.2.1",
            "kind": "source",
            "since": "2023-11-14T22:13:20.000Z",
            "until": "2023-11-14T22:23:20.000Z",
            "why": "wrong-password",
        }
        rest = await api.get(f"/v1/bans?after={found['next']}")
        assert ([one["name"] for one in rest["items"]], rest["next"]) == (["alice@x.org"], None)
        lifted = await api.ask("DELETE", "/v1/bans/2001:db8::%2F64")
        assert (lifted.status_code, lifted.json()) == (200, {"nodes": 1, "silent": []})
        assert await api.refused("DELETE", "/v1/bans/2001:db8::%2F64") == (404, "not-found")
        assert list(desk.bans) == ["192.0.2.1", "alice@x.org"]

    play(scene)


def test_a_node_that_does_not_answer_is_named() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.health = HealthFound("", "", 1, [], ("edge-1",))
        assert (await api.get("/v1/bans"))["silent"] == ["edge-1"]
        assert (await api.ask("DELETE", "/v1/bans/192.0.2.1")).json() == {"nodes": 0, "silent": ["edge-1"]}
        health = await api.get("/v1/health")
        assert (health["status"], health["silent"]) == ("degraded", ["edge-1"])

    play(scene)


def test_health_tells_of_every_node_and_database() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert await api.get("/v1/health") == {
            "status": "ok",
            "recorder": True,
            "reason": None,
            "proxy_database": {"reachable": True, "reason": None},
            "system_database": {"reachable": True, "reason": None},
            "site_version": 1,
            "nodes": [
                {
                    "name": "edge-1",
                    "site_version": 1,
                    "bindings": 0,
                    "loaded": True,
                    "bans": 0,
                    "longest_wait_ms": 0.0,
                    "mean_wait_ms": 0.0,
                    "dropped": 0,
                    "loss_percent": 0,
                }
            ],
            "silent": [],
            "call_records": None,
        }
        desk.health = HealthFound("", "gone", 0, [NodeHealth(1, 0, True)])
        health = await api.get("/v1/health")
        assert health["status"] == "degraded"
        assert health["system_database"] == {"reachable": False, "reason": "gone"}
        assert health["site_version"] is None

    play(scene)


@pytest.mark.parametrize(
    "health",
    [
        HealthFound("away", "", 1, [NodeHealth(1, 0, True)]),
        HealthFound("", "", 2, [NodeHealth(1, 0, True)]),
        HealthFound("", "", 1, [NodeHealth(1, 0, False)]),
        HealthFound("", "", 1, []),
    ],
    ids=["database", "version", "loading", "no node"],
)
def test_health_is_degraded_by_each_thing_that_is_not_well(health: HealthFound) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.health = health
        assert (await api.get("/v1/health"))["status"] == "degraded"

    play(scene)


READS = (
    "/v1/subscribers",
    "/v1/subscribers/alice@x.org",
    "/v1/domains",
    "/v1/access-rules",
    "/v1/versions",
    "/v1/versions/1",
    "/v1/versions/1/difference",
    "/v1/site",
    "/v1/locations",
    "/v1/locations/alice@x.org",
    "/v1/bans",
    "/v1/gateways",
)
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/v1/subscribers", {"aor": "zoe@x.org", "password": "p"}),
    ("PUT", "/v1/domains/x.org", {}),
    ("DELETE", "/v1/subscribers/alice@x.org", None),
    ("POST", "/v1/changes", {"edits": []}),
    ("POST", "/v1/versions/1/rollback", None),
    ("POST", "/v1/locations/alice@x.org", {"contact": "sip:192.0.2.9"}),
    ("DELETE", "/v1/locations/alice@x.org", None),
    ("DELETE", "/v1/bans/192.0.2.1", None),
)


def test_everything_is_503_with_the_reason_while_the_recorder_is_away_and_health_says_it() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.away = "the recorder is not there"
        for method, path, body in [*(("GET", path, None) for path in READS), *WRITES]:
            answer = await api.ask(method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (503, "recorder-away"), path
            assert answer.json()["detail"] == "the recorder is not there"
            assert answer.headers["retry-after"] == "1"
        health = await api.get("/v1/health")
        assert (health["status"], health["recorder"], health["reason"]) == (
            "degraded",
            False,
            "the recorder is not there",
        )
        assert (await api.ask("GET", "/livez", token="")).json() == {"status": "alive"}
        desk.away = ""
        assert (await api.get("/v1/health"))["status"] == "ok"
        assert len((await api.get("/v1/subscribers"))["items"]) == 2

    play(scene)


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("database", 503, "database-away"),
        ("busy", 503, "busy"),
        ("unfit", 422, "unfit"),
        ("fault", 500, "fault"),
    ],
)
def test_what_the_recorder_refuses_is_told_with_its_reason(code: str, status: int, told: str) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.refusal = Refused(code, "for this reason")
        for method, path, body in [("GET", READS[0], None), ("GET", READS[-2], None), *WRITES[:3]]:
            answer = await api.ask(method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (status, told)
            assert answer.json()["detail"] == "for this reason"
            assert ("retry-after" in answer.headers) == (status == 503)
        assert (await api.get("/v1/health"))["reason"] == "for this reason"

    play(scene)


def test_a_request_that_takes_too_long_is_ended() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        async def never(_question: object) -> object:
            await asyncio.Event().wait()
            raise AssertionError

        desk.ask = never  # type: ignore[method-assign, assignment]
        assert await api.refused("GET", "/v1/subscribers") == (503, "too-slow")

    play(scene, request_s=0.01)


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.01)

    async def scene(api: Api, _desk: MemoryDesk) -> None:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer write-me")]
        scope = {"type": "http", "method": "POST", "path": "/v1/subscribers", "headers": headers}
        more = {"query_string": b"", "http_version": "1.1", "scheme": "http", "client": ("192.0.2.5", 1)}
        await api.app(scope | more, receive, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 408

    play(scene)


def test_a_fault_of_our_own_is_500_and_in_the_log_with_its_traceback() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        async def fail(_question: object) -> object:
            raise ZeroDivisionError("hush")

        desk.ask = fail  # type: ignore[method-assign, assignment]
        with capture_logs() as logged:
            answer = await api.ask("GET", "/v1/subscribers")
        assert (answer.status_code, answer.json()["code"]) == (500, "fault")
        assert "hush" not in answer.text
        assert [one["event"] for one in logged] == ["request not handled"]

    play(scene)


def test_every_change_is_logged_with_who_what_from_where_and_nothing_secret() -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        with capture_logs() as logged:
            await api.ask("POST", "/v1/subscribers?comment=hush", {"aor": "zoe@x.org", "password": "hush"})
            await api.ask("DELETE", "/v1/subscribers/none@x.org")
            await api.ask("DELETE", "/v1/bans/192.0.2.1", token="read-me")
            await api.ask("DELETE", "/v1/bans/192.0.2.1", token="")
            await api.ask("GET", "/v1/subscribers")
        told = [
            (one["who"], one["method"], one["path"], one["status"], one.get("version"))
            for one in logged
            if one["event"] == "change asked for"
        ]
        assert told == [
            ("writer", "POST", "/v1/subscribers", 201, 2),
            ("writer", "DELETE", "/v1/subscribers/none@x.org", 404, None),
            ("reader", "DELETE", "/v1/bans/192.0.2.1", 403, None),
            ("", "DELETE", "/v1/bans/192.0.2.1", 401, None),
        ]
        assert {one["source"] for one in logged} == {"192.0.2.5:4711"}
        assert "hush" not in str(logged)

    play(scene)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/docs", 404, "not-found"),
        ("GET", "/redoc", 404, "not-found"),
        ("GET", "/v2/subscribers", 404, "not-found"),
        ("POST", "/v1/health", 405, "method-not-allowed"),
        ("PATCH", "/v1/subscribers/alice@x.org", 405, "method-not-allowed"),
    ],
)
def test_other_paths_and_methods_are_problems_too(method: str, path: str, status: int, code: str) -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        assert await api.refused(method, path) == (status, code)

    play(scene)


def test_health_tells_how_call_records_come_into_the_table() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        nodes = [NodeHealth(1, 0, True)]
        desk.health = HealthFound("", "", 1, nodes, (), RecordsHealth(7, 1, 2, 0, 0, ""))
        health = await api.get("/v1/health")
        assert (health["status"], health["call_records"]) == (
            "ok",
            {"stored": 7, "refused": 1, "lost": 2, "waiting": 0, "oldest_at": None, "reason": None},
        )
        desk.health = HealthFound(
            "", "", 1, nodes, (), RecordsHealth(7, 1, 2, 900, 1_700_000_000_000, "full")
        )
        health = await api.get("/v1/health")
        assert (health["status"], health["call_records"]["reason"]) == ("degraded", "full")
        assert health["call_records"]["oldest_at"] == "2023-11-14T22:13:20.000Z"

    play(scene)
