"""What a run of the tests says at its end: figures, and which transports reach which.

A test gives them as properties: "figure", a sentence; "transports", "TCP to WSS". They are told by
the process that the run was started with, which collects no tests where others run them.
"""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from system.transports import TRANSPORTS


def _cells(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, str]]:
    """Caller's transport, callee's, and what became of one test of the two."""
    for outcome in ("passed", "failed", "error"):
        for report in reporter.stats.get(outcome, []):
            pair = dict(getattr(report, "user_properties", ())).get("transports")
            if pair and (report.when == "call" or outcome != "passed"):
                caller, callee = str(pair).split(" to ")
                yield caller, callee, outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests measured, and which transports reach which."""
    figures = [
        f"{value} ({report.nodeid.rpartition('::')[2]})"
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", ())
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(figures))
    _print_table(terminalreporter)


def _print_table(terminalreporter: pytest.TerminalReporter) -> None:
    """A row for each caller's transport, a column for each callee's: tests passed of tests run."""
    passed: dict[tuple[str, str], int] = defaultdict(int)
    run: dict[tuple[str, str], int] = defaultdict(int)
    for caller, callee, outcome in _cells(terminalreporter):
        run[caller, callee] += 1
        passed[caller, callee] += outcome == "passed"
    if not run:
        return
    terminalreporter.section("calls between transports: passed of run, caller by callee")
    terminalreporter.write_line("".join(f"{name:>7}" for name in ("", *TRANSPORTS)))
    for caller in TRANSPORTS:
        cells = [
            f"{passed[caller, callee]}/{run[caller, callee]}" if run[caller, callee] else "-"
            for callee in TRANSPORTS
        ]
        terminalreporter.write_line("".join(f"{text:>7}" for text in (caller, *cells)))
