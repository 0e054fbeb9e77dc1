"""Gateways, limits, calls, explained requests and call records as documents: what the HTTP API answers,
and commands with --json.
"""

from typing import Any, Final

from oneproxy.admin.times import utc
from oneproxy.ipc.calls import CallEnded, CallFound, CallsFound
from oneproxy.ipc.desk import (
    Explained,
    GatewayFound,
    GatewaysFound,
    NodeExplained,
    ProviderFound,
    StandingFound,
)
from oneproxy.ipc.limits import LimitFound, LimitsFound
from oneproxy.records.record import Attempt, Record

#: The columns of fields that are instants.
_INSTANTS: Final = {
    f"{name}_ms": f"{name}_at" for name in ("started", "first_response", "ringing", "answered", "ended")
}
#: The columns of table `cdr`.
RECORD_NAMES: Final = [_INSTANTS.get(name, name) for name in Record.__struct_fields__]


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


def calls_told(found: CallsFound) -> dict[str, Any]:
    """Calls as a document."""
    return {
        "items": [_call(one) for one in found.calls],
        "total": found.total,
        "matching": found.matching,
        "unseen": found.unseen,
        "silent": list(found.silent),
    }


def ended_told(name: str, found: CallEnded) -> dict[str, Any]:
    """A call that was ended, as a document."""
    return {"id": name, "node": found.node, "silent": list(found.silent)}


def _call(call: CallFound) -> dict[str, Any]:
    return {
        "node": call.node,
        "id": call.id,
        "state": call.state,
        "caller": call.caller,
        "callee": call.callee,
        "domain": call.domain or None,
        "source": call.source or None,
        "provider": call.provider or None,
        "gateway": call.gateway or None,
        "since": utc(call.since),
        "answered_at": _instant(call.answered_at),
        "seconds": round(call.seconds, 3),
    }


def record_told(record: Record) -> dict[str, Any]:
    """A call record as a document, by the columns of table `cdr`."""
    told: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if name in _INSTANTS:
            told[_INSTANTS[name]] = _instant(value / 1000)
        elif name == "attempts":
            told[name] = [_attempt(one) for one in value]
        else:
            told[name] = value or None
    if record.answered_ms:
        told["duration_ms"] = record.duration_ms
    told["started_at"] = utc(record.started_ms / 1000)
    return told


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "to": attempt.to,
        "status": attempt.status,
        "error": attempt.error or None,
        "provider": attempt.provider or None,
        "gateway": attempt.gateway or None,
        "started_at": utc(attempt.started_ms / 1000),
        "first_response_at": _instant(attempt.first_response_ms / 1000),
        "ended_at": _instant(attempt.ended_ms / 1000),
    }


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
