"""The commands that show and change the site: apply, export, versions, rollback, diff.

They open the system database themselves, so that they work whether or not OneProxy runs; a
running one follows the database. Tables on a terminal, plain lines in a pipe.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from oneproxy.commands import EXIT_MISTAKE, fail

if TYPE_CHECKING:
    from oneproxy.site.model import Configuration, Entries, Version
    from oneproxy.store.sites import Sites, Stale, Written

#: Differences that `apply` and `rollback` list; `diff` lists all.
MOST_LINES: Final = 20

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="File whose [database] is used; without one, oneproxy.db here."
    ),
]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for `versions`.")]
SiteFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="File with the whole site; - for standard input.")
]
Number = Annotated[int, typer.Argument(metavar="N", min=1, help="The version to bring back.")]
Shown = Annotated[int | None, typer.Option("--version", "-v", metavar="N", min=1, help="This version of it.")]
Most = Annotated[int, typer.Option("--most", "-n", metavar="N", min=1, help="How many, the newest first.")]
Side = Annotated[str | None, typer.Argument(help="A version's number, a file, or - for standard input.")]


def add_to(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    commands: list[Callable[..., Any]] = [apply, export, versions, rollback, diff]
    for command in commands:
        app.command()(command)


def apply(file: SiteFile, config: Config = None, comment: Comment = "") -> None:
    """Make the site of a file the one that runs, as a new version."""
    from oneproxy.site.entries import digest
    from oneproxy.store.site_rows import FileOf

    configuration = read_or_exit(file, to_stderr=True, machine=False)
    if not configuration.entries:
        fail(f"{file}: no site in it; a [[domain]] is the least", EXIT_MISTAKE)
    source = FileOf(name_of(file), digest(configuration.entries))
    with _sites(config, configuration, create=True) as sites:
        written = sites.replace(configuration.entries, _by(comment or f"from {source.name}"), source)
        _tell(written)


def export(config: Config = None, version: Shown = None) -> None:
    """Print the site as a file that `apply` takes back. It holds HA1s and gateways' secrets."""
    from oneproxy.site.export import to_toml

    with _sites(config, reading=True) as sites:
        found = sites.latest() if version is None else _find(sites, version)
        lines = list(to_toml(sites.entries(found.version)))
    # UTF-8 whatever the terminal's: TOML is.
    typer.echo("\n".join(lines).encode(), nl=False)


def versions(config: Config = None, most: Most = 20) -> None:
    """List the versions of the site, the newest first."""
    with _sites(config, reading=True) as sites:
        found = sites.versions(most)
    head = ("version", "when (UTC)", "who", "added", "changed", "removed", "comment")
    print_table(head, [_row(one) for one in found])


def rollback(to: Number, config: Config = None, comment: Comment = "") -> None:
    """Make a new version that equals version N."""
    with _sites(config) as sites:
        _find(sites, to)
        written = sites.roll_back(to, _by(comment or f"back to version {to}"))
        if written is None:
            # Forgotten at this very moment.
            _find(sites, to)
        else:
            _tell(written)


def diff(before: Side = None, after: Side = None, config: Config = None) -> None:
    """Show what differs between versions, or from a file.

    Of nothing said, the last change; of version A, from it to the site that runs, or to B; of a file,
    what applying it would change.
    """
    from oneproxy.site.difference import differences, lines

    files = {
        side: read_or_exit(Path(side), to_stderr=True, machine=False)
        for side in (before, after)
        if side and not side.isdecimal()
    }
    with _sites(config, next(iter(files.values()), None), reading=True) as sites:

        def entries(side: str) -> Entries:
            return files[side].entries if side in files else sites.entries(_find(sites, int(side)).version)

        latest = sites.latest().version
        if before is None:
            sides = (sites.entries(max(latest - 1, 0)), sites.entries(latest))
        elif after is None and before in files:
            # What applying it would do.
            sides = (sites.entries(latest), entries(before))
        else:
            sides = (entries(before), sites.entries(latest) if after is None else entries(after))
    for line in lines(differences(*sides)):
        typer.echo(line)


def read_or_exit(file: Path, to_stderr: bool, machine: bool = True) -> Configuration:
    """The configuration in `file`; with mistakes in it, print them all and exit."""
    from oneproxy.site.file import read

    found = read(file, machine)
    if not isinstance(found, list):
        return found
    for mistake in found:
        typer.echo(mistake.text(str(file)), err=to_stderr)
    typer.echo(f"{file}: {count_text(len(found), 'mistake', 'mistakes')}", err=to_stderr)
    raise typer.Exit(EXIT_MISTAKE)


def name_of(file: Path) -> str:
    """A file as other machines tell it from theirs."""
    return f"{socket.gethostname()}:{file.absolute()}"


def count_text(number: int, one: str, many: str) -> str:
    """ "1 domain", "2 domains"."""
    return f"{number} {one if number == 1 else many}"


@contextmanager
def _sites(
    config: Path | None, other: Configuration | None = None, create: bool = False, reading: bool = False
) -> Iterator[Sites]:
    """The site in the system database that a file names.

    other: the file that is used where there is no `config`. create: it may be a new database.
    reading: nothing is written, for which the right to read is enough.
    """
    from oneproxy.site.sample import DATABASE
    from oneproxy.store.database import Database, StoreError
    from oneproxy.store.sites import Sites

    # What goes wrong is said in one line, and a library need not say it too.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    read = other if config is None else read_or_exit(config, to_stderr=True, machine=False)
    database = None
    try:
        url = DATABASE if read is None else read.machine.system_database
        database = Database("system", url, reading=reading)
        is_new = not database.exists()
        if is_new and not create:
            way_out = "--config FILE says where it is"
            if config is not None:
                way_out = f"`oneproxy run` or `apply` makes one, or change [database] in {config}"
            fail(f"there is no database {database.shown}; {way_out}")
        database.open()
        if is_new:
            # Relative to where we are, and a service runs elsewhere: let it be noticed.
            typer.echo(f"oneproxy: {database.shown} is a new database", err=True)
        yield Sites(database)
    except StoreError as error:
        fail(str(error))
    finally:
        if database is not None:
            database.drop()


def _by(comment: str) -> Version:
    from oneproxy.site.model import Version

    # Who runs it by sudo is meant, not root.
    try:
        who = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        who = f"user {os.getuid()}"
    return Version(0, time.time(), f"{who}@{socket.gethostname()}", comment)


def _find(sites: Sites, number: int) -> Version:
    found = sites.find(number)
    if found is None:
        latest = sites.latest().version
        if number <= latest:
            way_out = (
                "`oneproxy versions` lists those that are, `keep_versions` under [database] says how many"
            )
            fail(f"version {number} is not kept any more; {way_out}", EXIT_MISTAKE)
        fail(f"there is no version {number}; the newest is {latest}", EXIT_MISTAKE)
    return found


def _tell(written: Written | Stale) -> None:
    """Say what became of a change."""
    from oneproxy.site.difference import lines, summary
    from oneproxy.store.sites import Stale

    if isinstance(written, Stale):
        fail("others change the site at this moment; try again")
    if not written.differing:
        typer.echo(f"nothing differs; version {written.version.version} stays")
        return
    typer.echo(f"version {written.version.version}: {summary(written.differing)}")
    for line in lines(written.differing[:MOST_LINES]):
        typer.echo(line)
    more = len(written.differing) - MOST_LINES
    if more > 0:
        typer.echo(f"and {more} more; `oneproxy diff` shows all")


def _row(version: Version) -> tuple[str, ...]:
    when = datetime.fromtimestamp(version.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    counts = (version.added, version.changed, version.removed)
    return (str(version.version), when, version.who, *map(str, counts), version.comment)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On a terminal a table, elsewhere a line for each row, its values parted by tabs."""
    from oneproxy.site.difference import shown

    if not _is_terminal():
        for row in rows:
            typer.echo("\t".join(map(shown, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head)
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    Console(highlight=False).print(table)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
