"""Instants as they are told: ISO 8601 in UTC."""

from datetime import UTC, datetime


def utc(at: float) -> str:
    """ "2026-11-24T12:00:00.250Z" for seconds since the epoch; what no calendar holds as its last day."""
    try:
        found = datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        found = datetime.max.replace(tzinfo=UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
