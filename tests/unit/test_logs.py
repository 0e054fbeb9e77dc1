"""The form of log lines, and how events are kept from flooding a log."""

import errno
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from oneproxy import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_away_from_a_terminal_an_event_is_one_json_line() -> None:
    stream = io.StringIO()
    logs.configure("node-0", stream)
    structlog.get_logger().warning(
        "bindings not saved", batch=7, reason="disk\nfull", peer=("192.0.2.1", 5060)
    )
    [line] = lines(stream)
    time = line.pop("time")
    assert isinstance(time, str) and time.endswith("Z") and "T" in time
    assert line == {
        "level": "warning",
        "process": "node-0",
        "event": "bindings not saved",
        "batch": 7,
        "reason": "disk\nfull",
        "peer": ["192.0.2.1", 5060],
    }
    assert stream.getvalue().startswith('{"time": ')


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    logs.configure("node-0", stream)
    structlog.get_logger().debug("not sent")
    assert stream.getvalue() == ""


def test_a_fault_of_our_own_carries_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure("node-0", stream)
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        structlog.get_logger().exception("message not handled")
    [line] = lines(stream)
    assert str(line["exception"]).startswith("Traceback")
    assert str(line["exception"]).endswith("RuntimeError: it broke")


def test_what_libraries_log_comes_out_in_the_same_form() -> None:
    stream = io.StringIO()
    logs.configure("recorder", stream)
    logging.getLogger("alembic").info("not of interest")
    logging.getLogger("asyncio").error("task %s failed", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["process"], first["level"], first["event"]) == ("recorder", "error", "task 3 failed")
    assert "UserWarning: old" in str(second["event"])


def test_on_a_terminal_an_event_is_a_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logs.configure("supervisor", stream)
    structlog.get_logger().info("process ready", pid=42)
    [line] = stream.getvalue().splitlines()
    clock, rest = line.split(" ", 1)
    assert len(clock) == len("12:34:56")
    assert "process ready" in rest and "pid=42" in rest and "\x1b" not in rest


class Full(io.StringIO):
    """As on a disk without room."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().write(text)


def test_what_cannot_be_written_is_lost_and_counted_and_fails_nobody() -> None:
    stream = Full()
    logs.configure("node-0", stream)
    structlog.get_logger().warning("bindings not saved")
    logging.getLogger("asyncio").error("task failed")
    assert logs.lost() == 2
    stream.full = False
    structlog.get_logger().warning("there is room again")
    assert [line["event"] for line in lines(stream)] == ["there is room again"]
    stream.close()
    structlog.get_logger().warning("nobody reads this")
    assert logs.lost() > 2


def test_faults_are_logged_at_first_and_then_once_a_minute() -> None:
    captured = structlog.testing.LogCapture()
    structlog.configure(processors=[captured])
    faults = logs.Faults(structlog.get_logger())
    for number in range(30):
        faults.note("not handled", 100.0 + number)
    faults.note("not handled", 200.0, flow="tcp/1")
    assert faults.count == 31
    assert len(captured.entries) == 21
    assert captured.entries[-1] == {
        "event": "not handled",
        "log_level": "error",
        "exc_info": True,
        "flow": "tcp/1",
        "suppressed": 10,
    }


def limited(interval_s: float = 10.0) -> tuple[logs.RateLimited, list[structlog.typing.EventDict]]:
    captured = structlog.testing.LogCapture()
    structlog.configure(processors=[captured])
    return logs.RateLimited(structlog.get_logger(), interval_s), captured.entries


def test_one_event_an_interval_passes_and_says_how_many_did_not() -> None:
    limit, entries = limited()
    passed = [
        limit.warning("malformed", now, code="via") for now in (100.0, 100.0, 109.9, 110.0, 115.0, 120.0)
    ]
    assert passed == [True, False, False, True, False, True]
    assert entries == [
        {"event": "malformed", "log_level": "warning", "code": "via"},
        {"event": "malformed", "log_level": "warning", "code": "via", "suppressed": 2},
        {"event": "malformed", "log_level": "warning", "code": "via", "suppressed": 1},
    ]


def test_keys_are_limited_apart() -> None:
    limit, entries = limited()
    assert limit.warning("malformed", 0.0, "192.0.2.1")
    assert limit.warning("malformed", 0.0, "192.0.2.2")
    assert not limit.warning("malformed", 0.0, "192.0.2.1")
    assert limit.warning("flood", 0.0, "192.0.2.1")
    assert len(entries) == 3


def test_the_keys_are_bounded_and_the_oldest_goes_first() -> None:
    limit, entries = limited()
    for key in range(logs.MAX_KEYS + 1):
        assert limit.warning("malformed", 0.0, key)
    assert limit.warning("malformed", 1.0, 0)
    assert not limit.warning("malformed", 1.0, logs.MAX_KEYS)
    assert len(entries) == logs.MAX_KEYS + 2
