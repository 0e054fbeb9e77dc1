"""Gateways, limits and explained requests as documents: what the HTTP API and commands with --json give."""

from typing import Any

from oneproxy.admin.times import utc
from oneproxy.ipc.desk import (
    Explained,
    GatewayFound,
    GatewaysFound,
    LimitFound,
    LimitsFound,
    NodeExplained,
    ProviderFound,
    StandingFound,
)


def gateways_told(found: GatewaysFound) -> dict[str, Any]:
    """Gateways as a document."""
    return {
        "items": [_provider(one) for one in found.providers],
        "left_out": found.left_out,
        "silent": list(found.silent),
    }


def limits_told(found: LimitsFound) -> dict[str, Any]:
    """Limits as a document."""
    return {
        "items": [_limit(one) for one in found.limits],
        "left_out": found.left_out,
        "silent": list(found.silent),
    }


def explained_told(found: Explained) -> dict[str, Any]:
    """What nodes say of a request, as a document."""
    return {"items": [_explained(one) for one in found.nodes], "silent": list(found.silent)}


def _provider(provider: ProviderFound) -> dict[str, Any]:
    return {
        "node": provider.node,
        "name": provider.name,
        "calls": provider.calls,
        "max_calls": provider.max_calls or None,
        "full": provider.full,
        "unhealthy": provider.unhealthy,
        "panics": provider.panics,
        "gateways": [_gateway(one) for one in provider.gateways],
    }


def _gateway(gateway: GatewayFound) -> dict[str, Any]:
    return {
        "name": gateway.name,
        "uri": gateway.uri,
        "state": gateway.state,
        "since": _instant(gateway.since),
        "until": _instant(gateway.until),
        "calls": gateway.calls,
        "max_calls": gateway.max_calls or None,
        "waiting": gateway.waiting,
        "response_time_ms": round(gateway.response_time_ms, 3),
        "success": round(gateway.success, 6),
        "ends": gateway.ends,
        "drained": gateway.drained,
        "rest_until": _instant(gateway.rest_until),
        "registration": None if gateway.standing is None else _standing(gateway.standing),
    }


def _limit(limit: LimitFound) -> dict[str, Any]:
    return {
        "node": limit.node,
        "name": limit.name,
        "kind": limit.kind,
        "whom": limit.whom or None,
        "calls": limit.calls or None,
        "period_s": limit.period_s,
        "max_calls": limit.max_calls or None,
        "within": limit.within,
        "calls_on": limit.calls_on,
        "refused": limit.refused,
        "counted": limit.counted,
        "uncounted": limit.uncounted,
        "busiest": [
            {"of": one.of, "within": one.within, "calls_on": one.calls_on, "refused": one.refused}
            for one in limit.busiest
        ],
    }


def _standing(standing: StandingFound) -> dict[str, Any]:
    return {
        "state": standing.state,
        "aor": standing.aor,
        "status": standing.status,
        "reason": standing.reason,
        "error": standing.error,
        "next_at": _instant(standing.next_at),
        "expires_at": _instant(standing.expires_at),
    }


def _explained(one: NodeExplained) -> dict[str, Any]:
    return {
        "node": one.node,
        "verdict": one.verdict,
        "steps": [{"heading": heading, "text": text} for heading, text in one.steps],
        "gateway": one.gateway or None,
        "targets": list(one.targets),
        "status": one.status or None,
    }


def _instant(at: float) -> str | None:
    return utc(at) if at else None
