"""Gateways and explained calls over HTTP."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from office import NOW, TOKENS, Api, MemoryDesk, play
from oneproxy.ipc.desk import (
    AskExplain,
    Explained,
    GatewayFound,
    HealthFound,
    NodeExplained,
    ProviderFound,
    Refused,
    StandingFound,
)
from oneproxy.ipc.limits import LimitFound, ShareFound

STANDING = StandingFound("waiting", "sip:me@carrier", 403, "Forbidden", "", NOW, 0.0)
GATEWAY = GatewayFound(
    "a1", "sip:192.0.2.9", "ejected", NOW, NOW + 30, 3, 30, 1, 20.0, 0.95, {"2xx": 7}, False, 0.0, STANDING
)


def test_gateways_are_listed_node_by_node() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.providers = [ProviderFound("carrier", 3, 0, 1, 2, 4, [GATEWAY], "edge-1")]
        desk.health = HealthFound("", "", 1, [], ("edge-2",))
        assert await api.get("/v1/gateways") == {
            "items": [
                {
                    "node": "edge-1",
                    "name": "carrier",
                    "calls": 3,
                    "max_calls": None,
                    "full": 1,
                    "unhealthy": 2,
                    "panics": 4,
                    "gateways": [
                        {
                            "name": "a1",
                            "uri": "sip:192.0.2.9",
                            "state": "ejected",
                            "since": "2023-11-14T22:13:20.000Z",
                            "until": "2023-11-14T22:13:50.000Z",
                            "calls": 3,
                            "max_calls": 30,
                            "waiting": 1,
                            "response_time_ms": 20.0,
                            "success": 0.95,
                            "ends": {"2xx": 7},
                            "drained": False,
                            "rest_until": None,
                            "registration": {
                                "state": "waiting",
                                "aor": "sip:me@carrier",
                                "status": 403,
                                "reason": "Forbidden",
                                "error": "",
                                "next_at": "2023-11-14T22:13:20.000Z",
                                "expires_at": None,
                            },
                        }
                    ],
                }
            ],
            "left_out": 0,
            "silent": ["edge-2"],
        }

    play(scene)


def test_limits_are_listed_node_by_node_with_the_busiest() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        share = ShareFound("a@x.org", 10, 0, 8)
        desk.limits = [LimitFound("dialler", "caller", "*", 10, 60.0, 0, 0, 0, 9, 321, 4, [share], "edge-1")]
        desk.health = HealthFound("", "", 1, [], ("edge-2",))
        assert await api.get("/v1/limits") == {
            "items": [
                {
                    "node": "edge-1",
                    "name": "dialler",
                    "kind": "caller",
                    "whom": "*",
                    "calls": 10,
                    "period_s": 60.0,
                    "max_calls": None,
                    "within": 0,
                    "calls_on": 0,
                    "refused": 9,
                    "counted": 321,
                    "uncounted": 4,
                    "busiest": [{"of": "a@x.org", "within": 10, "calls_on": 0, "refused": 8}],
                }
            ],
            "left_out": 2,
            "silent": ["edge-2"],
        }

    play(scene)


def test_a_call_is_explained_to_who_may_read_and_is_no_change() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        steps = [("choice", "carrier/a1")]
        said = NodeExplained(steps, "to carrier/a1", "carrier/a1", ("sip:1@192.0.2.9",), node="edge-1")
        desk.explained = Explained([said])
        body = {"from": "alice@x.org", "to": "+351912345678", "source": "192.0.2.7"}
        with capture_logs() as logged:
            answer = await api.ask("POST", "/v1/explain", body, token=TOKENS["reader"])
        assert answer.status_code == 200
        assert answer.json() == {
            "items": [
                {
                    "node": "edge-1",
                    "verdict": "to carrier/a1",
                    "steps": [{"heading": "choice", "text": "carrier/a1"}],
                    "gateway": "carrier/a1",
                    "targets": ["sip:1@192.0.2.9"],
                    "status": None,
                }
            ],
            "silent": [],
        }
        assert desk.questions == [AskExplain("alice@x.org", "+351912345678", "192.0.2.7", "udp", "INVITE")]
        assert [one for one in logged if one["event"] == "change asked for"] == []

    play(scene)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": "a@b.c"},
        {"from": 1, "to": "x"},
        {"from": "a@b.c", "to": "x" * 2000},
        {"from": "a", "to": "b", "x": 1},
    ],
    ids=["nothing", "no to", "a number", "long", "unknown"],
)
def test_a_question_that_is_none_is_refused_with_what_is_wrong(body: dict[str, Any]) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert await api.refused("POST", "/v1/explain", body) == (422, "mistakes")
        assert desk.questions == []

    play(scene)


def test_what_the_nodes_find_wrong_with_a_question_is_said() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.explained = Refused("unfit", "source: found 'x'; allowed an IP address")
        answer = await api.ask("POST", "/v1/explain", {"from": "a@b.c", "to": "d@e.f", "source": "x"})
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "source: found 'x'; allowed an IP address",
        )

    play(scene)
