"""Call records that tests store and look for."""

from typing import Any

from oneproxy.records.record import Attempt, Record, encode_record

#: 2026-11-25 10:58:29.123 UTC.
AT_MS = 1_795_604_309_123
MINUTE_MS = 60_000


def id_at(at_ms: int, number: int = 0) -> str:
    """A UUIDv7 of this instant."""
    text = f"{max(at_ms, 0) & (2**48 - 1):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}"


def a_record(number: int = 0, started_ms: int = AT_MS, **fields: Any) -> Record:
    """A call that was answered by its second gateway; fields: what is otherwise."""
    started = max(started_ms, 0)
    usual: dict[str, Any] = {
        "id": id_at(started_ms, number),
        "started_ms": started_ms,
        "first_response_ms": started + 300,
        "ringing_ms": started + 900,
        "answered_ms": started + 5_000,
        "ended_ms": started + 65_000,
        "post_dial_delay_ms": 300,
        "duration_ms": 60_000,
        "status": 200,
        "reason": 'Q.850;cause=16;text="Normal"',
        "q850": 16,
        "ended_by": "caller",
        "call_id": f"{number:08x}3c267fb9@192.0.2.10",
        "from_tag": f"as{number:08x}",
        "to_tag": f"tt{number:08x}",
        "caller_uri": "sip:alice@example.com",
        "callee_uri": "sip:912345678@example.com;user=phone",
        "caller": "alice@example.com",
        "callee": "+351912345678",
        "routed_caller": "sip:alice@example.com",
        "routed_callee": "sip:00351912345678@198.51.100.7",
        "domain": "example.com",
        "subscriber": "alice@example.com",
        "source": "192.0.2.7:5060",
        "transport": "udp",
        "provider": "carrier-a",
        "gateway": "a1",
        "attempts": [
            Attempt("sip:00351912345678@198.51.100.6", 503, started, started + 99, 0, "", "carrier-a", "a2"),
            Attempt("sip:00351912345678@198.51.100.7", 200, started + 100, started + 5_000, started + 300),
        ],
        "node": "edge-1-0",
        "caller_agent": "Phone/1.2.3",
        "callee_agent": "Gateway 7.1",
    }
    return Record(**(usual | fields))


def journalled(*records: Record) -> list[bytes]:
    """As a journal has them."""
    return [encode_record(record) for record in records]
