"""Memory in huge pages: which memory that is, and that it is asked for without harm."""

import mmap

from oneproxy.hugepages import HUGE, collapse, ranges

MAPS = """\
55d0c0000000-55d0c0200000 r-xp 00000000 08:01 123                        /usr/bin/python3.11
55d0c1000000-55d0c1900000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f00001ff000-7f0000a01000 rw-p 00000000 00:00 0
7f0001000000-7f0002000000 rw-s 00000000 00:01 9                          /dev/zero (deleted)
7f0003000000-7f0004000000 rw-p 00000000 08:01 77                         /usr/lib/libc.so.6
7ffd00000000-7ffd00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_only_whole_huge_pages_of_what_is_nobody_elses_are_found() -> None:
    found = list(ranges(MAPS.splitlines(keepends=True)))
    assert found == [(0x55D0C1000000, 0x55D0C1800000), (0x7F0000200000, 0x7F0000A00000)]


def test_what_memory_holds_is_the_same_afterwards() -> None:
    memory = mmap.mmap(-1, 8 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[::4096] = bytes(range(256)) * (8 * HUGE // 4096 // 256)
    done: set[int] = set()
    collapse(done)
    collapse(done)
    assert memory[::4096] == bytes(range(256)) * (8 * HUGE // 4096 // 256)
    assert all(address % HUGE == 0 for address in done)
    memory.close()
