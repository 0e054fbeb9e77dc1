"""The command that makes a bearer token for the HTTP API."""

from __future__ import annotations

import secrets
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final

import typer

from oneproxy.commands import EXIT_MISTAKE, fail
from oneproxy.site import texts

#: Nobody guesses 256 bits, so one round of a plain hash keeps them.
TOKEN_OCTETS: Final = 32


class Role(StrEnum):
    """What the owner of a token may do."""

    READ = "read"
    WRITE = "write"


def add_to(app: typer.Typer) -> None:
    """Add `oneproxy token`."""
    app.command()(token)


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: in the log, and in versions.")],
    role: Annotated[Role, typer.Option(help="Whether it may change things.")] = Role.READ,
) -> None:
    """Make a token for the HTTP API.

    The lines for the configuration file are printed; the token itself is shown on the terminal.
    """
    try:
        texts.name(name)
    except ValueError:
        allowed = 'letters, digits, ".", "_" and "-", at most 63'
        fail(f"NAME: found {name!r}; allowed {allowed}", EXIT_MISTAKE)
    secret = secrets.token_urlsafe(TOKEN_OCTETS)
    # Not to standard output, which is for the file: `oneproxy token NAME >> FILE`.
    typer.echo(f"The token, which is shown this once and kept nowhere:\n\n    {secret}\n", err=True)
    # An empty line first: the last one of the file may have no end.
    typer.echo("\n[[admin.token]]")
    typer.echo(f'name = "{name}"')
    typer.echo(f'sha256 = "{sha256(secret.encode()).hexdigest()}"')
    typer.echo(f'role = "{role.value}"')
