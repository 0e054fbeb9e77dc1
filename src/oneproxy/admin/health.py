"""Routes that say how this machine fares."""

from typing import Any

from fastapi import APIRouter, Depends

from oneproxy.admin.asking import Desk, RecorderAwayError
from oneproxy.admin.models import Health
from oneproxy.admin.office import TheOffice
from oneproxy.admin.times import utc
from oneproxy.admin.tokens import reader
from oneproxy.ipc.call_records import RecordsHealth
from oneproxy.ipc.desk import (
    AskHealth,
    HealthFound,
    Refused,
)


def health_routes() -> APIRouter:
    """The route of the health of this machine."""
    routes = APIRouter(tags=["health"], dependencies=[Depends(reader)])

    @routes.get("/health", summary="How recorder, databases and nodes fare", response_model=Health)
    async def health(office: TheOffice) -> dict[str, Any]:
        found = await _ask(office.desk)
        if isinstance(found, str):
            return _unknown(found)
        whole = not found.proxy and not found.system and not found.silent and found.nodes
        current = all(node.version == found.version and node.loaded for node in found.nodes)
        kept = found.records is None or not found.records.reason
        return {
            "status": "ok" if whole and current and kept else "degraded",
            "recorder": True,
            "reason": None,
            "proxy_database": _database(found.proxy),
            "system_database": _database(found.system),
            "site_version": None if found.system else found.version,
            "nodes": [
                {
                    "name": node.name,
                    "site_version": node.version,
                    "bindings": node.bindings,
                    "loaded": node.loaded,
                    "bans": node.bans,
                    "longest_wait_ms": node.longest_wait_ms,
                    "mean_wait_ms": node.mean_wait_ms,
                    "dropped": node.dropped,
                    "loss_percent": node.loss_percent,
                }
                for node in found.nodes
            ],
            "silent": list(found.silent),
            "call_records": None if found.records is None else _records(found.records),
        }

    return routes


async def _ask(desk: Desk) -> HealthFound | str:
    """What the recorder says; or why it says nothing."""
    try:
        found = await desk.ask(AskHealth())
    except RecorderAwayError as error:
        return str(error)
    match found:
        case HealthFound():
            return found
        case Refused(_, reason):
            return reason
        case _:
            raise TypeError(type(found).__name__)


def _unknown(reason: str) -> dict[str, Any]:
    return {
        "status": "degraded",
        "recorder": False,
        "reason": reason,
        "proxy_database": None,
        "system_database": None,
        "site_version": None,
        "nodes": [],
        "silent": [],
        "call_records": None,
    }


def _database(fault: str) -> dict[str, Any]:
    return {"reachable": not fault, "reason": fault or None}


def _records(health: RecordsHealth) -> dict[str, Any]:
    return {
        "stored": health.stored,
        "refused": health.refused,
        "lost": health.lost,
        "waiting": health.waiting,
        "oldest_at": utc(health.oldest_ms / 1000) if health.oldest_ms else None,
        "reason": health.reason or None,
    }
