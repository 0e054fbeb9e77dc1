"""Compiles the hot rooms with mypyc, for nodes that take some three fifths of the CPU for a call.

    python deploy/compile.py

Nothing of the source changes: a copy of the package with the compiled modules is put below
the virtual environment, where `oneproxy run` finds it as long as the source is the same
(`oneproxy.compiled`). Needs a C compiler, the headers of Python and mypy; takes two to four minutes.
"""

# ruff: noqa: T201 - its report is for whoever waits at the terminal

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from oneproxy.compiled import SOURCE, place

#: Rooms whose modules every message passes, and single ones of others; but for msgspec's
#: structures, whose options would be lost.
ROOMS: Final = ("sip", "engine", "registrar", "access", "congestion", "trunks", "policy")
BESIDE: Final = (
    *(f"transport/{name}.py" for name in "connection connections driver flows loop stream udp wire".split()),
    *("ipc/batch.py", "ipc/link.py", "ipc/stream.py"),
    *("records/identifier.py", "records/recording.py", "records/step.py"),
)
LEFT_OUT: Final = frozenset(("engine/standing.py", "registrar/bindings.py"))


def modules(package: Path) -> list[str]:
    """The files to compile, relative to the folder that the package stands in."""
    files = [file for room in ROOMS for file in sorted((package / room).glob("*.py"))]
    files += [package / file for file in BESIDE]
    return [
        str(file.relative_to(package.parent))
        for file in files
        if file.name != "__init__.py" and file.relative_to(package).as_posix() not in LEFT_OUT
    ]


def compile_in(folder: Path) -> bool:
    """Copy the package into `folder` and compile it there; whether that went well."""
    package = folder / SOURCE.name
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    # Nothing for debuggers, which would take as long again.
    environment = os.environ | {"MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "mypyc", *modules(package)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(folder / "build", ignore_errors=True)
    if done.returncode:
        print("\n".join((done.stdout + done.stderr).splitlines()[-5:]))
    return done.returncode == 0


def main() -> int:
    """Exit code 1 where it can't be compiled, which the last lines say."""
    target = place()
    if target.is_dir():
        return 0
    target.parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent))
    if not compile_in(folder):
        shutil.rmtree(folder)
        print("oneproxy: not compiled; nodes run from source")
        return 1
    folder.chmod(0o755)
    folder.rename(target)
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
