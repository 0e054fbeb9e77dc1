"""Routes of the calls that are on, and ending one."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query

from oneproxy.admin.answers import find
from oneproxy.admin.documents import calls_told, ended_told
from oneproxy.admin.models import CallGone, CallList
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import ProblemError, mistake_problem, not_found
from oneproxy.admin.tokens import Writer, reader
from oneproxy.ipc.calls import MOST_CALLS, AskCalls, CallEnded, CallsFound, EndCall
from oneproxy.sip.reason import LONGEST_TEXT, is_text

_State = Annotated[Literal["", "calling", "ringing", "answered"], Query(description="how far they are")]
_Number = Annotated[str, Query(max_length=256, description="what the caller or the callee contains")]
_Name = Annotated[str, Query(max_length=256, description="who has them")]
_Id = Annotated[str, Path(alias="id", description="as the list and its record have it")]
_Most = Annotated[int, Query(ge=1, le=MOST_CALLS, description="calls in the answer", alias="limit")]
_Reason = Annotated[str, Query(max_length=LONGEST_TEXT, description="what both sides are told (RFC 3326)")]


def call_routes() -> APIRouter:
    """The routes of calls."""
    routes = APIRouter(prefix="/calls", tags=["calls"], dependencies=[Depends(reader)])

    @routes.get("", summary="List the calls that are on", response_model=CallList)
    async def list_calls(
        office: TheOffice,
        number: _Number = "",
        state: _State = "",
        provider: _Name = "",
        gateway: _Name = "",
        most: _Most = 100,
    ) -> dict[str, Any]:
        question = AskCalls(number, state, provider, gateway, most)
        return calls_told(await find(office.desk, question, CallsFound))

    @routes.delete("/{id}", summary="End a call", response_model=CallGone)
    async def end(office: TheOffice, _token: Writer, name: _Id, reason: _Reason = "") -> dict[str, Any]:
        if not is_text(reason):
            raise mistake_problem("reason", "characters that control", "text of one line")
        found = await find(office.desk, EndCall(name, reason), CallEnded)
        if not found.node and found.silent:
            detail = f"no node that answered has the call; silent were {', '.join(found.silent)}"
            raise ProblemError(503, "nodes-silent", detail, {"Retry-After": "1"})
        if not found.node:
            raise not_found(f"call {name}")
        return ended_told(name, found)

    return routes
