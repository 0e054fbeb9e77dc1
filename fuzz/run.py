"""Fuzzes every target for some time, one after the other, and tells which of them has a finding.

python fuzz/run.py [--seconds 60] [target ...]

Inputs that lead somewhere new are kept in fuzz/findings/ from one run to the next, beside
the inputs that something was wrong with.
"""

# ruff: noqa: T201 - its report is for whoever waits at the terminal

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

from one import TARGETS

_HERE: Final = Path(__file__).parent
_FINDINGS: Final = _HERE / "findings"
#: Seconds after which an input is taken for one that never ends, and megabytes that are too many.
_HANGS_S: Final = 20
_MEMORY_MB: Final = 1024


def fuzz(target: str, seconds: int) -> bool:
    """Fuzz one target for so many seconds; whether all was well."""
    grown = _FINDINGS / "corpus" / target
    grown.mkdir(parents=True, exist_ok=True)
    log = _FINDINGS / f"{target}.log"
    command = [
        sys.executable,
        str(_HERE / "one.py"),
        target,
        f"-max_total_time={seconds}",
        f"-timeout={_HANGS_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-artifact_prefix={_FINDINGS}/{target}-",
        "-print_final_stats=1",
        str(grown),
        str(_HERE / "corpus" / target),
    ]
    print(f"fuzz: {target}, {seconds} s ...", flush=True)
    with log.open("wb") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    lines = log.read_text("latin-1").splitlines()
    if code == 0:
        print(f"fuzz: {target}: nothing found; {next((one for one in lines if one.startswith('Done ')), '')}")
        return True
    # Atheris writes our traceback, libFuzzer then the input in several forms: that is in the file.
    start = next((at for at, one in enumerate(lines) if "Uncaught Python exception" in one), -30)
    end = next((at for at, one in enumerate(lines) if one.startswith("==")), len(lines))
    print("\n".join(lines[start:end] if start < end else lines[-30:]))
    written = [one.partition("written to ")[2] for one in lines if "written to " in one]
    print(f"fuzz: {target}: FOUND something (exit code {code}); all of it is in {log}")
    for path in written:
        print(f"fuzz: again with: {sys.executable} fuzz/one.py {target} {path}")
    return False


def main() -> int:
    """Exit code 1 where a target has a finding, 2 where nothing could be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all if none")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    arguments = parser.parse_args()
    wanted: list[str] = arguments.targets or list(TARGETS)
    unknown = [target for target in wanted if target not in TARGETS]
    if unknown or arguments.seconds < 1:
        parser.error(f"no such target: {', '.join(unknown)}" if unknown else "--seconds must be 1 or more")
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: atheris is not installed; it is for Linux and Python before 3.14, in the extra [dev]")
        return 2
    found = [target for target in wanted if not fuzz(target, arguments.seconds)]
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
