"""Names of call records: UUIDs that sort by the time of their calls (RFC 9562 5.7)."""

from random import SystemRandom
from typing import Final
from uuid import UUID

_random: Final = SystemRandom()
_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62
_INSTANTS: Final = (1 << 48) - 1


def make_id(at_ms: int) -> str:
    """A UUIDv7. at_ms: milliseconds since the epoch."""
    drawn = _random.getrandbits(74)
    number = (at_ms & _INSTANTS) << 80 | _VERSION | (drawn >> 62) << 64 | _VARIANT | drawn & ((1 << 62) - 1)
    return str(UUID(int=number))


def instant_of(name: str) -> int:
    """The milliseconds since the epoch that a UUIDv7 begins with. Raises ValueError where it is no UUID."""
    return UUID(name).int >> 80
