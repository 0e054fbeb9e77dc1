"""Names of call records: UUIDs that sort by the time of their calls (RFC 9562 5.7)."""

from random import Random, SystemRandom
from typing import Final
from uuid import UUID

# They are no secrets, but must differ: a generator of our own, begun by what nobody else has.
_random: Final = Random(SystemRandom().getrandbits(256))
_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62
_INSTANTS: Final = (1 << 48) - 1
_LOW: Final = (1 << 62) - 1


def make_id(at_ms: int) -> str:
    """A UUIDv7. at_ms: milliseconds since the epoch."""
    drawn = _random.getrandbits(74)
    number = (at_ms & _INSTANTS) << 80 | _VERSION | (drawn >> 62) << 64 | _VARIANT | drawn & _LOW
    # As `str(UUID(int=number))`, in a third of the time.
    written = f"{number:032x}"
    return f"{written[:8]}-{written[8:12]}-{written[12:16]}-{written[16:20]}-{written[20:]}"


def instant_of(name: str) -> int:
    """The milliseconds since the epoch that a UUIDv7 begins with. Raises ValueError where it is no UUID."""
    return UUID(name).int >> 80
