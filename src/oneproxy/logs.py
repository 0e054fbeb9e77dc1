"""Where log events go and in which form: for people on a terminal, else JSON lines.

Every event has the fields `process`, `level` and `time` (UTC). What libraries log by
the standard library's `logging` comes out in the same form, from warnings on.
"""

import logging
import os
import sys
from collections.abc import Hashable, Sequence
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

#: How many different keys one limiter tells apart; hostile load must not grow it.
MAX_KEYS: Final = 1024


class Patient:
    """A stream that loses what can't be written, rather than to fail whoever logs.

    The disk below a log may be full, and who reads a pipe may be gone. Calls go on.
    """

    __slots__ = ("__weakref__", "_stream", "lost")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        #: How often something could not be written.
        self.lost = 0

    def write(self, text: str) -> int:
        """Write, or not."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            # ValueError: it is closed.
            self.lost += 1
            return len(text)

    def flush(self) -> None:
        """See to it that it is written, or not."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1

    def isatty(self) -> bool:
        """Whether people read along."""
        return self._stream.isatty()


_streams: Final[list[Patient]] = []


def lost() -> int:
    """How many times this process could not write to its log."""
    return sum(stream.lost for stream in _streams)


def configure(process: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send what this process logs to `stream` (standard error), each event with its name.

    Where it can't be written it is lost, which `lost` counts; no call that logs fails.
    """
    stream = cast(TextIO, Patient(stream or sys.stderr))
    _streams[:] = [cast(Patient, stream)]
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


class Faults:
    """Logs faults of our own with their tracebacks: the first ones, then one a minute.

    count: how many there were, logged or not.
    """

    __slots__ = ("_log", "_next_at", "_suppressed", "count")

    _FIRST: Final = 20
    _INTERVAL_S: Final = 60.0

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._next_at = 0.0
        self._suppressed = 0
        self.count = 0

    def note(self, event: str, now: float, **fields: object) -> None:
        """Count the exception that is being handled, and log it as `event` if its turn has come.

        now: seconds, by any clock that does not go back.
        """
        self.count += 1
        if self.count > self._FIRST and now < self._next_at:
            self._suppressed += 1
            return
        self._next_at = now + self._INTERVAL_S
        if self._suppressed:
            fields["suppressed"] = self._suppressed
            self._suppressed = 0
        self._log.exception(event, **fields)


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
