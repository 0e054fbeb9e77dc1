"""The command `oneproxy`: what people type, and what they read when something is wrong.

Exit statuses: 0 all went well, 1 it could not start or ended by a fault, 2 the command
line or the configuration file has a mistake. What changes and shows the site is in
`site_commands`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from oneproxy import __version__, cdr_command, running_commands, site_commands, token_command
from oneproxy.commands import EXIT_FAULT, EXIT_MISTAKE, SETTINGS, Commands
from oneproxy.site_commands import count_text, name_of, read_or_exit

#: Set to anything, it shows the traceback of a fault of our own.
TRACEBACK: Final = "ONEPROXY_TRACEBACK"

#: What an idle section means where saying that it is idle is not enough.
WARNINGS: Final = {
    "farm.peers": "this machine's bindings are known to itself alone",
    "node.processes": "one node serves, on one core",
}

app = typer.Typer(
    name="oneproxy",
    cls=Commands,
    context_settings=SETTINGS,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

site_commands.add_to(app)
running_commands.add_to(app)
cdr_command.add_to(app)
token_command.add_to(app)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration file; without one, two accounts on 127.0.0.1."
    ),
]
DrainSeconds = Annotated[
    float,
    typer.Option(
        "--drain", metavar="SECONDS", min=0, max=3600, help="How long calls being set up may take to end."
    ),
]


@app.callback(invoke_without_command=True)
def oneproxy(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """OneProxy: the SIP entry point of a contact centre."""
    if version:
        typer.echo(_version_text())
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_MISTAKE)


@app.command()
def run(config: ConfigFile = None, drain: DrainSeconds = 5.0) -> None:
    """Start OneProxy and stay until Ctrl-C or SIGTERM."""
    from oneproxy import logs, supervisor
    from oneproxy.ipc.messages import Wanted
    from oneproxy.site.entries import digest
    from oneproxy.site.sample import sample

    configuration = sample() if config is None else read_or_exit(config, to_stderr=True)
    logs.configure("supervisor")
    _warn_of_idle_sections(configuration.site.idle_sections)

    def ready(details: list[str], asked: bool) -> None:
        # Nobody may be reading: a closed pipe does not end a server that is serving.
        with contextlib.suppress(OSError):
            _greet(details, newcomer=config is None and asked)

    site = None
    if configuration.entries:
        name = "the sample" if config is None else name_of(config)
        site = Wanted("", name, digest(configuration.entries), "run", first_only=config is None)
    raise typer.Exit(supervisor.run(configuration, drain, ready, site))


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to validate.")]) -> None:
    """Name every mistake of a configuration file."""
    configuration = read_or_exit(file, to_stderr=False)
    machine, site = configuration.machine, configuration.site
    parts = (
        count_text(len(machine.listen), "listen address", "listen addresses"),
        count_text(len(site.domains), "domain", "domains"),
        count_text(len(site.subscribers), "subscriber", "subscribers"),
    )
    typer.echo(f"{file}: no mistakes; {', '.join(parts)}")
    for section in site.idle_sections:
        typer.echo(f"{file}: [{section}] is read, but this version does not act on it{_consequence(section)}")


@app.command()
def version() -> None:
    """Print the version of OneProxy and of Python."""
    typer.echo(_version_text())


def _version_text() -> str:
    return f"oneproxy {__version__} (Python {platform.python_version()})"


def main() -> None:
    """Run the command line; a fault of our own is one line too, unless somebody wants more."""
    try:
        app()
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        reason = " ".join(str(error).split())
        typer.echo(f"oneproxy: internal fault: {type(error).__name__}: {reason}", err=True)
        typer.echo(f"oneproxy: run it again with {TRACEBACK}=1 to see where, and please report it", err=True)
        sys.exit(EXIT_FAULT)


def _consequence(section: str) -> str:
    return f": {WARNINGS[section]}" if section in WARNINGS else ""


def _warn_of_idle_sections(sections: Sequence[str]) -> None:
    import structlog

    log = structlog.get_logger()
    for section in sections:
        log.warning(
            "section is read but this version does not act on it",
            section=section,
            consequence=WARNINGS.get(section, "none of its keys has an effect"),
        )


def _greet(details: Sequence[str], newcomer: bool) -> None:
    """Say that all serves and, to who gave no file, what to do next."""
    title = f"OneProxy {__version__} is ready: {', '.join(details)}"
    if not newcomer:
        typer.echo(title)
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.panel import Panel

        Console(highlight=False).print(Panel.fit(_next_steps(), title=title, padding=(1, 2)))
    else:
        typer.echo(f"{title}\n\n{_next_steps()}")


def _next_steps() -> str:
    from oneproxy.site.sample import AORS, HOST, PASSWORD, PORT

    width = max(len(aor) for aor in AORS)
    accounts = "\n".join(f"    {aor:{width}}   password {PASSWORD}" for aor in AORS)
    return f"""\
Two accounts are there for a first call:

{accounts}

1. Give one to each of two softphones on this machine:
   domain {HOST}, server {HOST} port {PORT}, transport UDP.
2. Let alice call bob.

Ctrl-C stops OneProxy. Only this machine can reach it: for the phones
of your network write a file as docs/configuration.md shows, then

    oneproxy run --config FILE"""
