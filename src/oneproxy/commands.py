"""How the command line is read: help by -h too, and what is wrong with it in one line with the way out.

The library would draw boxes, three lines at least, that no log and no script can use.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn, cast

import typer
from typer.core import TyperGroup

EXIT_FAULT: Final = 1
EXIT_MISTAKE: Final = 2

SETTINGS: Final = {"help_option_names": ["-h", "--help"]}
#: What the library raises for a mistake on the command line; it has the name of this one only.
_MISTAKE: Final = cast(type[typer.BadParameter], typer.BadParameter.__bases__[0])


class Commands(TyperGroup):
    """The commands of `oneproxy`."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run what the command line says, and exit; where it has a mistake, say which."""
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except _MISTAKE as mistake:
            command = "oneproxy" if mistake.ctx is None else mistake.ctx.command_path
            fail(f"{_in_one_line(mistake)}; `{command} --help` shows what there is", EXIT_MISTAKE)
        except typer.Abort:
            fail("ended before it was done")
        if standalone_mode:
            sys.exit(status or 0)
        return status


def fail(line: str, status: int = EXIT_FAULT) -> NoReturn:
    """Say in one line why it cannot be done, and exit."""
    typer.echo(f"oneproxy: {line}", err=True)
    sys.exit(status)


def _in_one_line(mistake: typer.BadParameter) -> str:
    """What the library says of it: "no such option: --nope"."""
    said = " ".join(mistake.format_message().split()).rstrip(".")
    return said[:1].lower() + said[1:]
