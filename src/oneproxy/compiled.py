"""Where the compiled form of this very source stands, if somebody has made one.

`deploy/compile.py` puts a copy of the package, its hot rooms compiled by mypyc, below the
virtual environment in a folder that is named by a hash of the source. So what is found here
is never older than the source that it stands in for; a source that was changed since runs
as it is, at half as much CPU again for a call.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

#: Set to anything, it has the plain source run.
PLAIN: Final = "ONEPROXY_PLAIN"
SOURCE: Final = Path(__file__).parent


def place(source: Path = SOURCE) -> Path:
    """The folder for the compiled form of the package at `source`, be it there or not."""
    seen = sha256(f"{sys.implementation.cache_tag} {sys.platform}".encode())
    for file in sorted(source.rglob("*.py")):
        octets = file.read_bytes()
        seen.update(f"{file.relative_to(source).as_posix()} {len(octets)}\n".encode())
        seen.update(octets)
    return Path(sys.prefix) / "compiled" / seen.hexdigest()[:16]


def environment() -> dict[str, str]:
    """What a child's environment needs to run the compiled form; {} where there is none."""
    if os.environ.get(PLAIN):
        return {}
    try:
        folder = place()
    except OSError:
        return {}
    if not folder.is_dir():
        return {}
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{before}" if before else str(folder)}
