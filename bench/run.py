"""`make bench`: the cost of the parts of a message's way, then CPU per call against Kamailio.

soak.py (memory), loss.py (retransmissions), registrations.py, million.py (bindings) and
outage.py (a database that is away) take minutes and are run by hand.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run both; the first exit status that is not 0."""
    print("In memory, one message or transaction at a time (pyperf):", flush=True)
    parts = subprocess.run([sys.executable, str(HERE / "parts.py"), "--fast", "--quiet"], check=False)
    print("\nWhole processes, SIPp on both sides:", flush=True)
    calls = subprocess.run([sys.executable, str(HERE / "calls.py")], check=False)
    return parts.returncode or calls.returncode


if __name__ == "__main__":
    sys.exit(main())
