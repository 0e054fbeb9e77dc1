"""Keeping the memory of a process in huge pages, where Linux has them to give.

What a node knows (a million bindings, say) lies in pages of 4 KiB all over its memory, and for
each the processor has to find out where that page is. In pages of 2 MiB a look-up among a
million bindings takes half the time, and a call some hundredth parts less.

A thread asks for it, piece by piece, while the loop goes on: the system copies each piece to
where a whole page is free. Where it has none, or is older than Linux 6.1, nothing is lost: it
may do so by itself, in time.
"""

import ctypes
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

HUGE: Final = 2 * 1024 * 1024
#: From <linux/mman.h>: pages may be huge; make them so now.
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25
#: Between two pieces, and between two looks at what memory there is: it grows with what is known.
_PIECE_PAUSE_S: Final = 0.01
_LOOK_PAUSE_S: Final = 60.0
#: Pieces in one look for which no whole page is free: the others can wait for the next.
_FAILURES: Final = 16


def start() -> None:
    """Begin, in a thread that ends with the process. Does nothing elsewhere than on Linux."""
    if sys.platform == "linux":
        threading.Thread(target=_keep, name="huge pages", daemon=True).start()


def ranges(maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where memory of the process itself lies that can be in huge pages: from and to, whole ones.

    maps: the lines of /proc/self/maps.
    """
    for line in maps:
        fields = line.split(maxsplit=5)
        name = fields[5].strip() if len(fields) > 5 else ""
        if fields[1] != "rw-p" or name not in ("", "[heap]"):
            continue
        begin, _, end = fields[0].partition("-")
        first = -(-int(begin, 16) // HUGE) * HUGE
        last = int(end, 16) // HUGE * HUGE
        if first < last:
            yield first, last


def collapse(done: set[int]) -> None:
    """Have what is not in `done` put into huge pages; done: addresses of those that are."""
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        found = list(ranges(maps))
    failed = 0
    for first, last in found:
        advise(first, last - first, _MADV_HUGEPAGE)
        for at in range(first, last, HUGE):
            if at in done:
                continue
            if not advise(at, HUGE, _MADV_COLLAPSE):
                done.add(at)
            elif (failed := failed + 1) == _FAILURES:
                return
            time.sleep(_PIECE_PAUSE_S)


def _keep() -> None:
    done: set[int] = set()
    while True:
        try:
            collapse(done)
        except OSError:
            # There is no /proc here.
            return
        time.sleep(_LOOK_PAUSE_S)
