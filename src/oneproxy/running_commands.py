"""The commands that ask a running OneProxy: gateways, limits, explain, calls; how others ask (`cdr_command`).

They find it by the file that it has put beside its last site (`ipc.running`), and need neither
[admin] nor a token; the user of OneProxy alone may read that file. Tables on a terminal, plain
lines in a pipe, with --json one document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oneproxy.commands import EXIT_FAULT, EXIT_MISTAKE, fail
from oneproxy.site_commands import print_table, read_or_exit

if TYPE_CHECKING:
    from oneproxy.ipc.calls import CallFound, CallsFound
    from oneproxy.ipc.desk import (
        Found,
        GatewayFound,
        NodeExplained,
        ProviderFound,
        Question,
    )
    from oneproxy.ipc.limits import LimitFound

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="File that OneProxy runs with, if it does with one."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, as the HTTP API gives it.")]
From = Annotated[str, typer.Option("--from", metavar="URI", help="Who calls: user@domain, or a URI.")]
To = Annotated[str, typer.Option("--to", metavar="URI", help="Whom: a number, user@domain, or a URI.")]
Source = Annotated[
    str, typer.Option("--source", metavar="IP", help="Where it comes from; without it, this machine.")
]
Method = Annotated[str, typer.Option("--method", metavar="METHOD", help="What is asked for.")]
Transport = Annotated[str, typer.Option("--transport", metavar="NAME", help="udp, tcp, tls, ws or wss.")]
Number = Annotated[str, typer.Option("--number", metavar="TEXT", help="Whose caller or callee has it.")]
State = Annotated[str, typer.Option("--state", metavar="STATE", help="calling, ringing or answered.")]
Provider = Annotated[str, typer.Option("--provider", metavar="NAME", help="Those of a provider.")]
Gateway = Annotated[str, typer.Option("--gateway", metavar="NAME", help="Those of a gateway.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1_000, help="So many at most.")]
End = Annotated[str | None, typer.Option("--end", metavar="ID", help="End this call, without asking again.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="With --end: what both sides are told.")
]

_CALL_COLUMNS: Final = ("id", "node", "state", "caller", "callee", "gateway", "since", "time")
_COLUMNS: Final = (
    "node",
    "gateway",
    "uri",
    "state",
    "calls",
    "waiting",
    "response ms",
    "success",
    "failed",
    "registered",
)


_LIMIT_COLUMNS: Final = ("node", "limit", "of", "calls", "at once", "refused")


def add_to(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    commands: list[Callable[..., Any]] = [gateways, limits, explain, calls]
    for command in commands:
        app.command()(command)


def gateways(config: Config = None, as_json: Json = False) -> None:
    """Show how each gateway fares: its state, calls, response time and registration."""
    from oneproxy.admin.documents import gateways_told
    from oneproxy.ipc.desk import AskGateways, GatewaysFound

    found = ask(config, AskGateways())
    if not isinstance(found, GatewaysFound):
        fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
    if as_json:
        _print_json(gateways_told(found))
    else:
        rows = [_row(provider, one) for provider in found.providers for one in provider.gateways]
        print_table(_COLUMNS, rows)
        if found.left_out:
            typer.echo(f"oneproxy: and {found.left_out} more gateways", err=True)
    _name_silent(found.silent)


def limits(config: Config = None, as_json: Json = False) -> None:
    """Show how full each limit of calls is, and whom it has refused how often."""
    from oneproxy.admin.documents import limits_told
    from oneproxy.ipc.limits import AskLimits, LimitsFound

    found = ask(config, AskLimits())
    if not isinstance(found, LimitsFound):
        fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
    if as_json:
        _print_json(limits_told(found))
    else:
        print_table(_LIMIT_COLUMNS, [row for one in found.limits for row in _limit_rows(one)])
        if found.left_out:
            typer.echo(f"oneproxy: and {found.left_out} more limits", err=True)
    _name_silent(found.silent)


def explain(
    from_: From,
    to: To,
    source: Source = "",
    method: Method = "INVITE",
    transport: Transport = "udp",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say what would become of a call, step by step, without placing it.

    Who --from names is taken to give the right password.
    """
    from oneproxy.admin.documents import explained_told
    from oneproxy.ipc.desk import AskExplain, Explained

    found = ask(config, AskExplain(from_, to, source, transport, method))
    if not isinstance(found, Explained):
        fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
    if as_json:
        _print_json(explained_told(found))
    else:
        for one in found.nodes:
            _print_explained(one, is_one_of_many=len(found.nodes) > 1)
    _name_silent(found.silent)


def calls(
    number: Number = "",
    state: State = "",
    provider: Provider = "",
    gateway: Gateway = "",
    limit: Limit = 100,
    end: End = None,
    reason: Reason = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the calls that are on, those that began first; or end one."""
    from oneproxy.admin.documents import calls_told
    from oneproxy.ipc.calls import ANSWERED, CALLING, RINGING, AskCalls, CallsFound

    if end is not None:
        _end_call(config, end, reason, as_json)
        return
    if reason:
        fail("--reason is for --end; without it no call is ended", EXIT_MISTAKE)
    if state not in ("", CALLING, RINGING, ANSWERED):
        fail(f"--state: found {state!r}; allowed {CALLING}, {RINGING} or {ANSWERED}", EXIT_MISTAKE)
    found = ask(config, AskCalls(number, state, provider, gateway, limit))
    if not isinstance(found, CallsFound):
        fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
    if as_json:
        _print_json(calls_told(found))
    else:
        print_table(_CALL_COLUMNS, [_call_row(one) for one in found.calls])
        _say_what_is_left_out(found)
    _name_silent(found.silent)


def _end_call(config: Path | None, name: str, reason: str, as_json: bool) -> None:
    from oneproxy.admin.documents import ended_told
    from oneproxy.ipc.calls import CallEnded, EndCall

    found = ask(config, EndCall(name, reason))
    if not isinstance(found, CallEnded):
        fail(f"the answer was {type(found).__name__}; is it the same version that runs?")
    if not found.node:
        _name_silent(found.silent)
        fail(f"there is no call {name}", EXIT_FAULT if found.silent else EXIT_MISTAKE)
    if as_json:
        _print_json(ended_told(name, found))
    else:
        typer.echo(f"ended at {found.node}")


def ask(config: Path | None, question: Question) -> Found:
    """What the OneProxy that runs here answers; where none does, say so and exit."""
    import asyncio

    from oneproxy.ipc import running
    from oneproxy.ipc.asking import ask_once
    from oneproxy.ipc.desk import Refused
    from oneproxy.site.sample import sample

    machine = (sample() if config is None else read_or_exit(config, to_stderr=True, machine=False)).machine
    path = running.path_of(machine.last_site)
    try:
        there = running.read(machine.last_site)
    except FileNotFoundError:
        way_out = "its directory is the one to be in, and --config names the file that it runs with"
        fail(f"no OneProxy runs here: there is no {path}; {way_out}")
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}; be the user that OneProxy runs as (sudo -u)")
    if there is None:
        fail(f"{path} is not what OneProxy writes; remove it and start OneProxy again")
    try:
        found = asyncio.run(ask_once(there.endpoint, there.token, question))
    except TimeoutError:
        fail(f"OneProxy (process {there.pid}) does not answer; its log says why")
    except OSError:
        fail(f"no OneProxy runs here: {path} is what process {there.pid} has left; `oneproxy run` starts one")
    if isinstance(found, Refused):
        fail(found.reason, EXIT_MISTAKE if found.code == "unfit" else 1)
    return found


def _row(provider: ProviderFound, gateway: GatewayFound) -> tuple[str, ...]:
    most = f"/{gateway.max_calls}" if gateway.max_calls else ""
    failed = sum(gateway.ends.get(kind, 0) for kind in ("5xx", "timeout", "transport"))
    standing = gateway.standing
    return (
        provider.node,
        f"{provider.name}/{gateway.name}",
        gateway.uri,
        _state(gateway),
        f"{gateway.calls}{most}",
        str(gateway.waiting),
        f"{gateway.response_time_ms:.0f}",
        f"{gateway.success:.1%}",
        str(failed),
        "" if standing is None else " ".join(filter(None, (standing.state, _last_answer(standing.status)))),
    )


def _call_row(call: CallFound) -> tuple[str, ...]:
    minutes, seconds = divmod(int(call.seconds), 60)
    return (
        call.id,
        call.node,
        call.state,
        call.caller,
        call.callee,
        f"{call.provider}/{call.gateway}" if call.provider else "",
        _clock(call.since),
        f"{minutes // 60}:{minutes % 60:02}:{seconds:02}",
    )


def _say_what_is_left_out(found: CallsFound) -> None:
    """How many more there are, and how many nobody has looked at."""
    left_out = found.matching - len(found.calls)
    if left_out > 0:
        typer.echo(f"oneproxy: and {left_out} more calls; --limit shows up to 1000", err=True)
    if found.unseen:
        typer.echo(f"oneproxy: {found.unseen} of {found.total} calls were not looked at", err=True)


def _limit_rows(limit: LimitFound) -> list[tuple[str, ...]]:
    """A limit, and below it the busiest of those that each have it for themselves."""
    period = f" in {limit.period_s:g} s"
    whom, within, calls_on = limit.whom, str(limit.within), str(limit.calls_on)
    if whom == "*":
        whom, within, calls_on = f"each of {limit.counted}", "", ""
    if limit.uncounted:
        whom = f"{whom}; {limit.uncounted} calls not counted"
    shares = [(whom, within, calls_on, limit.refused)]
    shares += [(one.of, str(one.within), str(one.calls_on), one.refused) for one in limit.busiest]
    return [
        (
            limit.node,
            limit.name,
            of,
            _share(within, limit.calls, period),
            _share(calls_on, limit.max_calls),
            str(refused),
        )
        for of, within, calls_on, refused in shares
    ]


def _share(found: str, most: int, unit: str = "") -> str:
    """So many of at most so many; "" where there is no limit."""
    if not most:
        return ""
    return f"{found}/{most}{unit}" if found else f"{most}{unit}"


def _state(gateway: GatewayFound) -> str:
    """The state, and until when, and what else keeps calls away."""
    said = [gateway.state]
    if gateway.until:
        said.append(f"until {_clock(gateway.until)}")
    if gateway.drained:
        said.append("drained")
    if gateway.rest_until:
        said.append(f"rests until {_clock(gateway.rest_until)}")
    return ", ".join(said)


def _last_answer(status: int) -> str:
    return f"({status})" if status else ""


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def _print_explained(one: NodeExplained, is_one_of_many: bool) -> None:
    from oneproxy.site.difference import shown

    if is_one_of_many:
        typer.echo(f"{one.node}:")
    steps = [*one.steps, ("verdict", one.verdict)]
    width = max(len(heading) for heading, _ in steps)
    for heading, text in steps:
        typer.echo(f"{shown(heading):{width}}  {shown(text)}")


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2))


def _name_silent(silent: tuple[str, ...]) -> None:
    """Nodes that did not answer in time."""
    if silent:
        typer.echo(f"oneproxy: no answer from {', '.join(silent)}", err=True)
