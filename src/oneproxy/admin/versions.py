"""Routes of the versions of the site, and of all of it as a file."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec.structs import replace

from oneproxy.admin import requests
from oneproxy.admin.answers import find
from oneproxy.admin.changes import etag
from oneproxy.admin.entries import told
from oneproxy.admin.models import ChangeMade, DifferencePage, VersionInfo, VersionPage
from oneproxy.admin.office import Office, TheOffice
from oneproxy.admin.problem import ProblemError, not_found
from oneproxy.admin.public import without_secrets
from oneproxy.admin.requests import By, Cursor, Limit
from oneproxy.admin.times import utc
from oneproxy.admin.tokens import reader
from oneproxy.ipc.desk import PAGE, Differences, DifferencesFound, Versions, VersionsFound
from oneproxy.site.difference import Difference, lines
from oneproxy.site.entries import SINGLES, decode_value, encode_value, ordered
from oneproxy.site.export import to_toml
from oneproxy.site.model import Entries, Version

#: PostgreSQL and the rows know versions up to here.
MAX_VERSION: Final = 2**31 - 1
#: Lines or entries that are sent at once.
CHUNK: Final = 500

Number = Annotated[int, Path(ge=1, le=MAX_VERSION)]


def version_routes() -> APIRouter:
    """The routes of versions."""
    routes = APIRouter(prefix="/versions", tags=["versions"], dependencies=[Depends(reader)])

    @routes.get("", summary="List versions, newest first", response_model=VersionPage)
    async def list_versions(office: TheOffice, limit: Limit = 100) -> dict[str, Any]:
        found = await find(office.desk, Versions(limit), VersionsFound)
        return {"items": [_told(one) | _counts(one) for one in found.versions]}

    @routes.get("/{number}", summary="Read one version", response_model=VersionInfo)
    async def read_version(office: TheOffice, number: Number) -> dict[str, Any]:
        return _told(await _find(office, number))

    @routes.get("/{number}/difference", summary="What differs in a version", response_model=DifferencePage)
    async def difference(
        office: TheOffice,
        number: Number,
        of: Annotated[
            int | None, Query(ge=0, le=MAX_VERSION, description="of which version; the one before")
        ] = None,
        after: Cursor = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        section, key = requests.from_cursor(after, 2)
        await _find(office, number)
        if of:
            await _find(office, of)
        base = number - 1 if of is None else of
        asked = Differences(base, number, (section, key))
        page = (await find(office.desk, asked, DifferencesFound)).differing
        shown = page[:limit]
        more = len(page) == PAGE or len(page) > limit
        return {
            "of": base,
            "to": number,
            "items": [_difference(one) for one in shown],
            "next": requests.to_cursor(shown[-1].section, shown[-1].key) if more else None,
        }

    @routes.post("/{number}/rollback", summary="Have a new version equal this one", response_model=ChangeMade)
    async def roll_back(
        office: TheOffice,
        by: By,
        request: Request,
        response: Response,
        number: Number,
    ) -> dict[str, Any]:
        by = replace(by, comment=by.comment or f"back to version {number}")
        await _find(office, number)
        return told(await office.changes.roll_back(number, by), request, response)

    return routes


def export_routes() -> APIRouter:
    """The route of all of the site."""
    routes = APIRouter(tags=["site"], dependencies=[Depends(reader)])

    @routes.get(
        "/site",
        summary="All of the site, without secrets",
        response_class=Response,
        responses={200: {"content": {"application/json": {}, "application/toml": {}}}},
    )
    async def export(
        office: TheOffice,
        form: Annotated[Literal["json", "toml"], Query(alias="format")] = "json",
    ) -> StreamingResponse:
        version = await office.copy.fresh()
        # A copy, since what is sent slowly must be of one version.
        entries = dict(office.copy.entries)
        parts = _toml(entries) if form == "toml" else _json(entries)
        return StreamingResponse(
            _chunks(parts), media_type=f"application/{form}", headers={"ETag": etag(version.version)}
        )

    return routes


async def _find(office: Office, number: int) -> Version:
    found = await find(office.desk, Versions(version=number), VersionsFound)
    if found.versions:
        return found.versions[0]
    newest = await find(office.desk, Versions(1), VersionsFound)
    if any(number < one.version for one in newest.versions):
        detail = f"version {number} is not kept any more: see `keep_versions` under [database]"
        raise ProblemError(404, "not-found", detail)
    raise not_found(f"version {number}")


def _told(one: Version) -> dict[str, Any]:
    return {"version": one.version, "at": utc(one.at), "who": one.who, "comment": one.comment}


def _counts(one: Version) -> dict[str, Any]:
    return {"added": one.added, "changed": one.changed, "removed": one.removed}


def _difference(one: Difference) -> dict[str, Any]:
    kind = "added" if one.before is None else "removed" if one.after is None else "changed"
    return {"section": one.section, "key": one.key, "kind": kind, "text": next(iter(lines([one])))}


def _chunks(parts: Iterator[str]) -> Iterator[str]:
    """Some parts at a time: each is handed from one thread to another, which takes longer than to make it."""
    while some := list(islice(parts, CHUNK)):
        yield "".join(some)


def _toml(entries: Entries) -> Iterator[str]:
    """The lines of the site as a file."""
    public = {key: encode_value(without_secrets(decode_value(value))) for key, value in entries.items()}
    for line in to_toml(public):
        yield f"{line}\n"


def _json(entries: Entries) -> Iterator[str]:
    """The site as a JSON object of sections, entry by entry."""
    yield "{"
    last = ""
    for section, _, value in ordered(entries):
        table = json.dumps(without_secrets(decode_value(value)))
        if section in SINGLES:
            yield f"{_close(last)}{json.dumps(section)}: {table}"
            last = "}"
        elif section == last:
            yield f",\n{table}"
        else:
            yield f"{_close(last)}{json.dumps(section)}: [\n{table}"
            last = section
    yield ("" if last in ("", "}") else "]") + "}\n"


def _close(last: str) -> str:
    """What comes between a section and the one before: nothing, a table, or a list that ends."""
    return {"": "", "}": ",\n"}.get(last, "],\n")
