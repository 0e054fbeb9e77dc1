"""Routes of subscribers, domains and access rules: each a table of the site, changed as a version of it."""

from itertools import islice
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response, status

from oneproxy.admin import requests
from oneproxy.admin.changes import Changed, etag
from oneproxy.admin.editing import (
    Kind,
    creating,
    deleting,
    key_in,
    keys_in,
    named,
    normal,
    path_of,
    replacing,
    with_password,
)
from oneproxy.admin.models import ChangeMade, EntryPage, bodies
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import ProblemError, not_found
from oneproxy.admin.public import shown_table
from oneproxy.admin.requests import By, Cursor, Limit, Prefix, read_body, read_table
from oneproxy.admin.tokens import reader
from oneproxy.site.change import Edit
from oneproxy.site.difference import lines
from oneproxy.site.model import Entries

#: Lines that tell what was changed; of a change of thousands these are the first.
MAX_LINES: Final = 100


class _Edits(msgspec.Struct, forbid_unknown_fields=True):
    edits: list[Edit]


def entry_routes(kind: Kind) -> APIRouter:
    """The routes of one kind."""
    routes = APIRouter(prefix=kind.path, tags=[kind.path[1:]], dependencies=[Depends(reader)])
    _add_reading(routes, kind)
    _add_writing(routes, kind)
    _add_bulk(routes, kind)
    return routes


def _add_reading(routes: APIRouter, kind: Kind) -> None:
    @routes.get("", summary=f"List {kind.path[1:]}", response_model=EntryPage)
    async def list_entries(
        office: TheOffice, response: Response, prefix: Prefix = "", after: Cursor = "", limit: Limit = 100
    ) -> dict[str, Any]:
        (behind,) = requests.from_cursor(after, 1)
        version = await office.copy.fresh()
        entries = office.copy.entries
        keys = office.copy.keys(kind.section, prefix, behind, limit)
        items = [{"key": key, "value": shown_table(kind.section, entries[kind.section, key])} for key in keys]
        response.headers["ETag"] = etag(version.version)
        return {"items": items, "next": requests.to_cursor(keys[-1]) if len(keys) == limit else None}

    @routes.get("/{key:path}", summary=f"Read one {kind.name}")
    async def read_entry(office: TheOffice, response: Response, key: str) -> dict[str, Any]:
        version = await office.copy.fresh()
        value = office.copy.entries.get((kind.section, normal(kind, key)))
        if value is None:
            raise not_found(f"{kind.name} {key}")
        response.headers["ETag"] = etag(version.version)
        return shown_table(kind.section, value)


def _add_writing(routes: APIRouter, kind: Kind) -> None:
    @routes.put(
        "/{key:path}",
        summary=f"Create or replace one {kind.name}",
        response_model=ChangeMade,
        openapi_extra=bodies(kind.section),
    )
    async def put_entry(
        office: TheOffice, by: By, request: Request, response: Response, key: str
    ) -> dict[str, Any]:
        key = normal(kind, key)
        table = named(kind, key, await read_table(request))
        return told(await office.changes.make(replacing(kind, [key], [table]), by), request, response)

    @routes.delete("/{key:path}", summary=f"Delete one {kind.name}", response_model=ChangeMade)
    async def delete_entry(
        office: TheOffice, by: By, request: Request, response: Response, key: str
    ) -> dict[str, Any]:
        made = await office.changes.make(deleting(kind, normal(kind, key)), by)
        return told(made, request, response)


def _add_bulk(routes: APIRouter, kind: Kind) -> None:
    @routes.post(
        "",
        summary=f"Create one {kind.name}, or many in one version",
        status_code=status.HTTP_201_CREATED,
        response_model=ChangeMade,
        openapi_extra=bodies(kind.section, many=True),
    )
    async def create(office: TheOffice, by: By, request: Request, response: Response) -> dict[str, Any]:
        body = await read_body(request, requests.MAX_BULK)
        tables = _tables(body if isinstance(body, list) else [body])
        made = await office.changes.make(creating(kind, tables), by)
        if isinstance(body, dict):
            response.headers["Location"] = path_of(kind, key_in(kind, body, 1))
        return told(made, request, response)

    @routes.put(
        "",
        summary=f"Create or replace many {kind.path[1:]} in one version",
        response_model=ChangeMade,
        openapi_extra=bodies(kind.section, one=False, many=True),
    )
    async def put_many(office: TheOffice, by: By, request: Request, response: Response) -> dict[str, Any]:
        tables = _tables(await read_body(request, requests.MAX_BULK))
        made = await office.changes.make(replacing(kind, keys_in(kind, tables), tables), by)
        return told(made, request, response)


def change_routes() -> APIRouter:
    """The route of changes of several kinds at once."""
    routes = APIRouter(tags=["changes"], dependencies=[Depends(reader)])

    @routes.post(
        "/changes",
        summary="Change entries of any section in one version",
        response_model=ChangeMade,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Edits"}}},
            }
        },
    )
    async def change(office: TheOffice, by: By, request: Request, response: Response) -> dict[str, Any]:
        wanted = _edits(await read_body(request, requests.MAX_BULK))

        def prepare(entries: Entries) -> list[Edit]:
            return [
                one
                if one.table is None
                else Edit(one.section, one.key, with_password(one.section, one.key, one.table, entries))
                for one in wanted
            ]

        return told(await office.changes.make(prepare, by), request, response)

    return routes


def told(made: Changed, request: Request, response: Response) -> dict[str, Any]:
    """What is answered to a change."""
    number = made.version.version
    response.headers["ETag"] = etag(number)
    request.state.version = number
    return {
        "version": number,
        "differing": len(made.differing),
        "changed": list(islice(lines(made.differing), MAX_LINES)),
    }


def _tables(body: Any) -> list[dict[str, Any]]:
    """A list of tables in a body. Raises ProblemError."""
    if not isinstance(body, list) or not all(isinstance(table, dict) for table in body):
        raise ProblemError(400, "malformed", "the body has to be a list of JSON objects")
    return body


def _edits(body: Any) -> list[Edit]:
    """Edits in a body. Raises ProblemError."""
    try:
        return msgspec.convert(body, _Edits).edits
    except msgspec.ValidationError as error:
        raise ProblemError(400, "malformed", f"the body has no edits: {error}") from None
