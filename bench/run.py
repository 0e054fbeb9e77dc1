"""`make bench`: the cost of the parts of a message's way, then CPU per call against Kamailio.

The others take minutes and are run by hand; they are listed at the end.
"""

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DONE = {"run.py", "parts.py", "calls.py"}


def others() -> list[str]:
    """A line for each bench that is run by hand: its command, and what it measures."""
    lines = []
    for path in sorted(HERE.rglob("*.py")):
        source = path.read_text("utf-8")
        if path.name not in DONE and "__main__" in source:
            subject = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
            lines.append(f"    .venv/bin/python bench/{path.relative_to(HERE)!s:17} {subject}")
    return lines


def main() -> int:
    """Run both; the first exit status that is not 0."""
    print("In memory, one message or transaction at a time (pyperf):", flush=True)
    parts = subprocess.run([sys.executable, str(HERE / "parts.py"), "--fast", "--quiet"], check=False)
    print("\nWhole processes, SIPp on both sides:", flush=True)
    calls = subprocess.run([sys.executable, str(HERE / "calls.py")], check=False)
    print("\nBy hand:", *others(), sep="\n", flush=True)
    return parts.returncode or calls.returncode


if __name__ == "__main__":
    sys.exit(main())
