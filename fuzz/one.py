"""Runs one harness under atheris, or once on files that an earlier run has left.

python fuzz/one.py codec [libFuzzer's options] [folder or file ...]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

_ROOT: Final = Path(__file__).parent.parent
TARGETS: Final = ("codec", "framing", "engine")
#: CPU seconds that one input may take, with the fuzzer's instruments in place.
TIME_LIMIT_S: Final = 0.5

Harness = Callable[[bytes], None]


def bounded(run: Harness) -> Harness:
    """`run`, and a fault where an input took longer than TIME_LIMIT_S."""

    def timed(data: bytes) -> None:
        # Of this thread, so that a busy machine is not taken for slow code.
        started = time.thread_time()
        run(data)
        took = time.thread_time() - started
        assert took < TIME_LIMIT_S, f"{len(data)} octets took {took:.2f} s"

    return timed


def whole(harness: ModuleType) -> Harness:
    """All that a harness looks at; `grow` has a measure of its own for what takes long."""
    run = bounded(harness.run)
    grow: Harness | None = getattr(harness, "grow", None)
    if grow is None:
        return run

    def both(data: bytes) -> None:
        run(data)
        grow(data)

    return both


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - the tests do without it

    target = sys.argv.pop(1)
    if target not in TARGETS:
        sys.exit(f"fuzz: {target} is not one of {', '.join(TARGETS)}")
    sys.path[:0] = [str(_ROOT / "src"), str(_ROOT / "tests")]
    # The wheel turns through thousands of empty slots, and has nothing that an input chooses.
    with atheris.instrument_imports(include=["oneproxy"], exclude=["oneproxy.engine.timers"]):
        harness = __import__(target)
    options = [f"-max_len={harness.MAX_INPUT}", f"-dict={Path(__file__).parent / 'sip.dict'}"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:]], whole(harness))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
