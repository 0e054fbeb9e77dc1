"""Routes of bans: who is shut out at the nodes of this machine, and letting somebody in again."""

from typing import Any

from fastapi import APIRouter, Depends

from oneproxy.admin import requests
from oneproxy.admin.answers import find
from oneproxy.admin.models import BanPage, Lifted
from oneproxy.admin.office import TheOffice
from oneproxy.admin.problem import not_found
from oneproxy.admin.requests import Cursor, Limit
from oneproxy.admin.times import utc
from oneproxy.admin.tokens import Writer, reader
from oneproxy.ipc.desk import PAGE, BanFound, BanLifted, BansFound, LiftBan, ListBans


def ban_routes() -> APIRouter:
    """The routes of bans."""
    routes = APIRouter(prefix="/bans", tags=["bans"], dependencies=[Depends(reader)])

    @routes.get("", summary="List bans", response_model=BanPage)
    async def list_bans(office: TheOffice, after: Cursor = "", limit: Limit = 100) -> dict[str, Any]:
        (behind,) = requests.from_cursor(after, 1)
        found = await find(office.desk, ListBans(behind), BansFound)
        shown = found.bans[:limit]
        more = len(found.bans) == PAGE or len(found.bans) > limit
        return {
            "items": [_told(ban) for ban in shown],
            "next": requests.to_cursor(shown[-1].name) if more else None,
            "silent": list(found.silent),
        }

    @routes.delete("/{name:path}", summary="Lift a ban", response_model=Lifted)
    async def lift(office: TheOffice, _token: Writer, name: str) -> dict[str, Any]:
        found = await find(office.desk, LiftBan(name), BanLifted)
        if not found.nodes and not found.silent:
            raise not_found(f"ban of {name}")
        return {"nodes": found.nodes, "silent": list(found.silent)}

    return routes


def _told(ban: BanFound) -> dict[str, Any]:
    return {
        "name": ban.name,
        "kind": ban.kind,
        "since": utc(ban.since),
        "until": utc(ban.until),
        "why": ban.why,
    }
