"""Routes of gateways and limits, as they stand, and of what would become of a call that nobody has placed."""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from oneproxy.admin.answers import find
from oneproxy.admin.documents import explained_told, gateways_told, limits_told
from oneproxy.admin.models import Explain, ExplainedList, LimitList, ProviderList
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import mistake_problem
from oneproxy.admin.requests import read_table
from oneproxy.admin.tokens import reader
from oneproxy.ipc.desk import (
    AskExplain,
    AskGateways,
    Explained,
    GatewaysFound,
)
from oneproxy.ipc.limits import AskLimits, LimitsFound

_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Explain"}}},
    }
}


def gateway_routes() -> APIRouter:
    """These routes; a token that may read is enough for all, since nothing is changed."""
    routes = APIRouter(tags=["gateways"], dependencies=[Depends(reader)])

    @routes.get("/gateways", summary="How each gateway fares", response_model=ProviderList)
    async def list_gateways(office: TheOffice) -> dict[str, Any]:
        return gateways_told(await find(office.desk, AskGateways(), GatewaysFound))

    @routes.get("/limits", summary="How full each limit of calls is", response_model=LimitList)
    async def list_limits(office: TheOffice) -> dict[str, Any]:
        return limits_told(await find(office.desk, AskLimits(), LimitsFound))

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
