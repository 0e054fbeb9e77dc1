"""Where log events go and in which form: for people on a terminal, else JSON lines.

Every event has the fields `process`, `level` and `time` (UTC). What libraries log by
the standard library's `logging` comes out in the same form, from warnings on.
"""

import logging
import os
import sys
from collections.abc import Hashable, Sequence
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

#: How many different keys one limiter tells apart; hostile load must not grow it.
MAX_KEYS: Final = 1024


def configure(process: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send what this process logs to `stream` (standard error), each event with its name."""
    stream = stream or sys.stderr
    shared, render = _processors(process, people=stream.isatty())
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(True)


def _processors(process: str, people: bool) -> tuple[list[Processor], list[Processor]]:
    """What every event goes through, and what makes a line of it."""

    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Processor] = [structlog.processors.add_log_level, add_process]
    if people:
        clock = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="time")
        console = structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ,
            timestamp_key="time",
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [*shared, clock], [console]
    clock = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")
    render: list[Processor] = [
        structlog.processors.format_exc_info,
        _in_order,
        structlog.processors.JSONRenderer(default=str),
    ]
    return [*shared, clock], render


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What every line has comes first, so that lines below each other can be read."""
    first: Sequence[str] = ("time", "level", "process", "event")
    return {name: event.pop(name) for name in first if name in event} | dict(event)


class RateLimited:
    """Logs the first event of a key, then at most one an interval with how many were left out.

    interval_s: seconds between two lines of one key.
    """

    __slots__ = ("_interval_s", "_keys", "_log")

    def __init__(self, log: FilteringBoundLogger, interval_s: float = 10.0) -> None:
        self._log = log
        self._interval_s = interval_s
        #: By key: from when on the next may pass, and how many were suppressed since the last.
        self._keys: dict[Hashable, tuple[float, int]] = {}

    def warning(self, event: str, now: float, key: Hashable = None, **fields: object) -> bool:
        """Log `event` as a warning if its turn has come, and tell whether it was logged.

        now: seconds, by any clock that does not go back. key: what is limited together
        with the event; left out, all of one event.
        """
        limited = (event, key)
        next_at, suppressed = self._keys.get(limited, (now, 0))
        if now < next_at:
            self._keys[limited] = (next_at, suppressed + 1)
            return False
        # Taken out and put in again, so that the first key is the one heard of least lately.
        self._keys.pop(limited, None)
        if len(self._keys) >= MAX_KEYS:
            del self._keys[next(iter(self._keys))]
        self._keys[limited] = (now + self._interval_s, 0)
        if suppressed:
            fields["suppressed"] = suppressed
        self._log.warning(event, **fields)
        return True
