"""Routes of gateways: how each fares, and what would become of a call that nobody has placed."""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from oneproxy.admin.answers import find
from oneproxy.admin.models import Explain, ExplainedList, ProviderList
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import mistake_problem
from oneproxy.admin.requests import read_table
from oneproxy.admin.times import utc
from oneproxy.admin.tokens import reader
from oneproxy.ipc.desk import (
    AskExplain,
    AskGateways,
    Explained,
    GatewayFound,
    GatewaysFound,
    NodeExplained,
    ProviderFound,
    StandingFound,
)

_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Explain"}}},
    }
}


def gateway_routes() -> APIRouter:
    """The routes of gateways; a token that may read is enough for both, since nothing is changed."""
    routes = APIRouter(tags=["gateways"], dependencies=[Depends(reader)])

    @routes.get("/gateways", summary="How each gateway fares", response_model=ProviderList)
    async def list_gateways(office: TheOffice) -> dict[str, Any]:
        return gateways_told(await find(office.desk, AskGateways(), GatewaysFound))

    @routes.post(
        "/explain",
        summary="What would become of a request, step by step",
        response_model=ExplainedList,
        openapi_extra=_BODY,
    )
    async def explain(office: TheOffice, request: Request) -> dict[str, Any]:
        wanted = _wanted(await read_table(request))
        question = AskExplain(wanted.from_, wanted.to, wanted.source, wanted.transport, wanted.method)
        return explained_told(await find(office.desk, question, Explained))

    return routes


def _wanted(body: dict[str, Any]) -> Explain:
    """What a body asks for. Raises ProblemError."""
    try:
        return Explain.model_validate(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise mistake_problem(key, "what is not allowed", first["msg"]) from None


def gateways_told(found: GatewaysFound) -> dict[str, Any]:
    """Gateways as a document."""
    return {
        "items": [_provider(one) for one in found.providers],
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
