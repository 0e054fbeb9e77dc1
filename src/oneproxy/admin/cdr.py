"""Routes of call records: the newest that fit, page by page, and one by its id."""

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from oneproxy.admin import requests
from oneproxy.admin.answers import find
from oneproxy.admin.documents import record_told
from oneproxy.admin.models import RecordInfo, RecordPage
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import mistake_problem, not_found
from oneproxy.admin.requests import Cursor, Limit
from oneproxy.admin.tokens import reader
from oneproxy.ipc.call_records import FindRecords, RecordsFound
from oneproxy.records.wanted import LONGEST, Wanted, Wrong, is_id, read_wanted

_PLACE: Final = "what `next` of the page before says"


def _text(description: str) -> Any:
    return Query(max_length=LONGEST, description=description)


def _wanted(
    number: Annotated[str, _text('of either side: "+351912345678", "alice@example.com", "*5678"')] = "",
    caller: Annotated[str, _text("of the caller, likewise")] = "",
    callee: Annotated[str, _text("of who was called, likewise")] = "",
    call_id: Annotated[str, _text("the Call-ID")] = "",
    gateway: Annotated[str, _text('"carrier-a/a1", or "a1" of any provider')] = "",
    provider: Annotated[str, _text("who had the call")] = "",
    status: Annotated[str, _text('the final status: "486", or "4xx"')] = "",
    since: Annotated[str, _text('when it began: "2026-11-25T10:58", or "2h" ago')] = "",
    until: Annotated[str, _text("before when it began, likewise")] = "",
    answered: Annotated[bool, Query(description="only those that were answered")] = False,
    failed: Annotated[bool, Query(description="only those that were not")] = False,
) -> Wanted:
    """What the query asks for. Raises ProblemError."""
    if answered and failed:
        raise mistake_problem("failed", "true, as `answered` is", "one of the two")
    said = {
        "number": number,
        "caller": caller,
        "callee": callee,
        "call_id": call_id,
        "gateway": gateway,
        "provider": provider,
        "status": status,
        "since": since,
        "until": until,
    }
    found = read_wanted(said, time.time(), True if answered else False if failed else None)
    if isinstance(found, Wrong):
        raise mistake_problem(found.name, found.found, found.allowed)
    return found


def cdr_routes() -> APIRouter:
    """The routes of call records."""
    routes = APIRouter(prefix="/cdr", tags=["cdr"], dependencies=[Depends(reader)])

    @routes.get("", summary="Find call records, the newest first", response_model=RecordPage)
    async def list_records(
        office: TheOffice,
        wanted: Annotated[Wanted, Depends(_wanted)],
        after: Cursor = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        found = await find(office.desk, FindRecords(wanted, _place(after), limit), RecordsFound)
        last = found.records[-1] if found.more and found.records else None
        return {
            "items": [record_told(one) for one in found.records],
            "next": None if last is None else requests.to_cursor(str(last.started_ms), last.id),
        }

    @routes.get("/{id}", summary="One call record", response_model=RecordInfo)
    async def look_up(office: TheOffice, id: str) -> dict[str, Any]:
        if not is_id(id):
            raise not_found(f"call record {id}")
        found = await find(office.desk, FindRecords(Wanted(id=id.lower()), None, 1), RecordsFound)
        if not found.records:
            raise not_found(f"call record {id}")
        return record_told(found.records[0])

    return routes


def _place(after: str) -> tuple[int, str] | None:
    """Where the page before has ended. Raises ProblemError."""
    if not after:
        return None
    at_ms, key = requests.from_cursor(after, 2)
    if not (at_ms.isascii() and at_ms.isdecimal() and len(at_ms) < 16 and is_id(key)):
        raise mistake_problem("after", "something else", _PLACE)
    return int(at_ms), key
