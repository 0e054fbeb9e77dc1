"""What time of the week it is in a time zone, reckoned once a minute."""

from datetime import datetime
from zoneinfo import ZoneInfo

from oneproxy.site.times import DAY_MIN


class Minutes:
    """The minute of the week in each time zone that somebody asked for.

    Every offset from UTC of today is of whole minutes, so within one of ours it stays the same.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        #: By zone: the minute since the epoch, and the minute of the week that it is.
        self._known: dict[str, tuple[int, int]] = {}

    def of_week(self, zone: ZoneInfo, now: float) -> int:
        """The minute of the week, from Monday 00:00 on, at `now`, seconds since the epoch."""
        minute = int(now // 60)
        known = self._known.get(zone.key)
        if known is not None and known[0] == minute:
            return known[1]
        local = datetime.fromtimestamp(minute * 60, zone)
        found = local.weekday() * DAY_MIN + local.hour * 60 + local.minute
        self._known[zone.key] = minute, found
        return found
