"""The command that shows calls: `oneproxy cdr`.

It asks the OneProxy that runs, as the commands for gateways do. A table of what somebody wants to
see at night on a terminal, the same in plain lines in a pipe; all columns with --csv and --json.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oneproxy.commands import EXIT_MISTAKE, fail
from oneproxy.running_commands import Config, ask
from oneproxy.site_commands import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oneproxy.records.record import Record
    from oneproxy.records.wanted import Wanted

_COLUMNS: Final = (
    "time (UTC)",
    "caller",
    "callee",
    "gateway",
    "status",
    "ring",
    "duration",
    "ended by",
    "why",
)
#: The most that --last may say: it is one question for each 500.
_MOST: Final = 1_000_000

_Number = Annotated[
    str, typer.Option("--number", metavar="WHO", help="Either side: +351912345678, alice@x.org, '*5678'.")
]
_Caller = Annotated[str, typer.Option("--caller", metavar="WHO", help="Who called, likewise.")]
_Callee = Annotated[str, typer.Option("--callee", metavar="WHO", help="Who was called, likewise.")]
_CallId = Annotated[str, typer.Option("--call-id", metavar="ID", help="The Call-ID.")]
_Gateway = Annotated[str, typer.Option("--gateway", metavar="NAME", help="carrier-a/a1, or a1.")]
_Provider = Annotated[str, typer.Option("--provider", metavar="NAME", help="Who had the call.")]
_Status = Annotated[str, typer.Option("--status", metavar="STATUS", help="The final one: 486, or 4xx.")]
_Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="2026-11-25T10:58 (UTC), or 2h, 3d: so long ago.")
]
_Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Begun before then, likewise.")]
_Answered = Annotated[bool, typer.Option("--answered", help="Only those that were answered.")]
_Failed = Annotated[bool, typer.Option("--failed", help="Only those that were not.")]
_Last = Annotated[int, typer.Option("--last", "-n", metavar="N", min=1, max=_MOST, help="How many.")]
_Csv = Annotated[bool, typer.Option("--csv", help="All columns, as CSV.")]
_Json = Annotated[bool, typer.Option("--json", help="All columns, a JSON document a line.")]


def add_to(app: typer.Typer) -> None:
    """Make it a command of `app`."""
    app.command()(cdr)


def cdr(
    number: _Number = "",
    caller: _Caller = "",
    callee: _Callee = "",
    call_id: _CallId = "",
    gateway: _Gateway = "",
    provider: _Provider = "",
    status: _Status = "",
    since: _Since = "",
    until: _Until = "",
    answered: _Answered = False,
    failed: _Failed = False,
    last: _Last = 50,
    as_csv: _Csv = False,
    as_json: _Json = False,
    config: Config = None,
) -> None:
    """Show call records, the newest first."""
    from oneproxy.records.wanted import Wrong, read_wanted

    if answered and failed:
        fail("--answered and --failed: no call is both; say one of them", EXIT_MISTAKE)
    if as_csv and as_json:
        fail("--csv and --json: say one of them", EXIT_MISTAKE)
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
    wanted = read_wanted(said, time.time(), True if answered else False if failed else None)
    if isinstance(wanted, Wrong):
        option = f"--{wanted.name.replace('_', '-')}"
        fail(f"{option}: found {wanted.found}; allowed {wanted.allowed}", EXIT_MISTAKE)
    records = _records(config, wanted, last)
    if as_json:
        _print_json(records)
    elif as_csv:
        _print_csv(records)
    else:
        print_table(_COLUMNS, [_row(one) for one in records])


def _records(config: Any, wanted: Wanted, most: int) -> Iterator[Record]:
    """The newest, as many as are asked for, page by page."""
    from oneproxy.ipc.call_records import MOST_RECORDS, FindRecords, RecordsFound

    place = None
    while most > 0:
        found = ask(config, FindRecords(wanted, place, min(most, MOST_RECORDS)))
        if not isinstance(found, RecordsFound):
            fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
        yield from found.records
        if not found.more or not found.records:
            return
        most -= len(found.records)
        place = (found.records[-1].started_ms, found.records[-1].id)


def _print_json(records: Iterator[Record]) -> None:
    from oneproxy.admin.documents import record_told

    for record in records:
        typer.echo(json.dumps(record_told(record)))


def _print_csv(records: Iterator[Record]) -> None:
    from oneproxy.admin.documents import RECORD_NAMES, record_told

    writer = csv.DictWriter(sys.stdout, RECORD_NAMES, lineterminator="\n")
    writer.writeheader()
    for record in records:
        told = record_told(record)
        told["attempts"] = json.dumps(told["attempts"])
        writer.writerow({name: _harmless(value) for name, value in told.items()})


def _harmless(value: Any) -> Any:
    """What no spreadsheet takes for a formula: peers write what they like. A number keeps its "+"."""
    if isinstance(value, str) and value[:1] in "=@-+\t\r" and not value[1:].isdecimal():
        return f"'{value}"
    return value


def _row(record: Record) -> tuple[str, ...]:
    ring_ms = (record.answered_ms or record.ended_ms) - record.ringing_ms if record.ringing_ms else 0
    return (
        _clock(record.started_ms),
        record.caller or record.caller_uri,
        record.callee or record.callee_uri,
        "/".join(filter(None, (record.provider, record.gateway))),
        str(record.status or ""),
        f"{ring_ms / 1000:.1f} s" if ring_ms > 0 else "",
        _duration(record.duration_ms) if record.answered_ms else "",
        record.ended_by,
        record.cause or record.reason or _last_error(record),
    )


def _last_error(record: Record) -> str:
    """What became of the last target, where nothing else is known."""
    return record.attempts[-1].error if record.attempts else ""


def _clock(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


def _duration(milliseconds: int) -> str:
    """ "0:05", "12:31", "1:02:03"."""
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
