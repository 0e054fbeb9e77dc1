"""`oneproxy cdr`: what it asks, and what it prints."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneproxy import cli, site_commands
from oneproxy.ipc import asking
from oneproxy.ipc.call_records import FindRecords, RecordsFound
from oneproxy.ipc.desk import (
    PAGE,
    BansFound,
    Found,
    Question,
    Refused,
)
from oneproxy.ipc.running import Notice
from oneproxy.records.record import Attempt, Record
from oneproxy.records.wanted import Wanted
from recorded import AT_MS, a_record, id_at

FAILED = Record(
    id_at(AT_MS, 1),
    AT_MS,
    ended_ms=AT_MS + 2_000,
    ringing_ms=AT_MS + 500,
    status=504,
    caller="+1",
    callee_uri="sip:x@y",
    attempts=[Attempt("sip:z", 0, AT_MS, AT_MS + 2_000, error="timeout")],
)


class Recorder:
    """Has records, newest first, and remembers what was asked."""

    def __init__(self) -> None:
        self.records = [a_record(), FAILED]
        self.refusal: Found | None = None
        self.asked: list[FindRecords] = []

    async def ask_once(self, endpoint: str, token: str, question: Question) -> Found:
        assert isinstance(question, FindRecords)
        self.asked.append(question)
        keys = [(one.started_ms, one.id) for one in self.records]
        begin = 0 if question.after is None else keys.index(question.after) + 1
        found = self.records[begin : begin + question.most]
        return self.refusal or RecordsFound(found, len(found) == question.most)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(tmp_path)
    made = Recorder()
    monkeypatch.setattr(asking, "ask_once", made.ask_once)
    Notice("oneproxy-site.last", "unix:/run/x", "secret")
    return made


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["cdr", *words])
    return result.exit_code, result.stdout, result.stderr


def test_calls_are_a_line_each_in_a_pipe(recorder: Recorder) -> None:
    status, out, err = invoke()
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "2026-11-25 10:58:29\talice@example.com\t+351912345678\tcarrier-a/a1\t200\t4.1 s\t1:00\tcaller"
        '\tQ.850;cause=16;text="Normal"',
        "2026-11-25 10:58:29\t+1\tsip:x@y\t\t504\t1.5 s\t\t\ttimeout",
    ]
    assert recorder.asked == [FindRecords(Wanted(), None, 50)]


def test_calls_are_a_table_on_a_terminal(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_commands, "_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    lines = invoke()[1].splitlines()
    assert "ended by" in lines[1]
    assert "+351912345678" in lines[3]


def test_every_filter_is_asked_for(recorder: Recorder) -> None:
    options = (
        "--number=1 --caller=2 --callee=3 --call-id=4 --gateway=5 --provider=6 --status=4xx"
        " --since=2026-11-25T10:00 --until=2026-11-25T11:00 --answered --last=7"
    )
    assert invoke(*options.split())[0] == 0
    begin = AT_MS // 3_600_000 * 3_600_000
    wanted = Wanted("1", "2", "3", "4", "5", "6", 400, 499, begin, begin + 3_600_000, True)
    assert recorder.asked == [FindRecords(wanted, None, 7)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--status", "busy"),
            '--status: found "busy"; allowed a status such as "486", or "4xx" for all of a hundred',
        ),
        (
            ("--since", "noon"),
            '--since: found "noon"; allowed an instant such as "2026-11-25T10:58", or how long ago: "90s",'
            ' "30m", "2h", "3d", "1w"',
        ),
        (
            ("--call-id", "x" * 257),
            "--call-id: found what no record has; allowed a text of at most 256 characters",
        ),
        (("--answered", "--failed"), "--answered and --failed: no call is both; say one of them"),
        (("--csv", "--json"), "--csv and --json: say one of them"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], line: str, recorder: Recorder) -> None:
    assert invoke(*words) == (2, "", f"oneproxy: {line}\n")
    assert recorder.asked == []


def test_many_are_asked_for_page_by_page(recorder: Recorder) -> None:
    recorder.records = [a_record(number, AT_MS - number) for number in range(2 * PAGE + 9)]
    assert len(invoke("--last", str(2 * PAGE + 3))[1].splitlines()) == 2 * PAGE + 3
    assert [one.most for one in recorder.asked] == [PAGE, PAGE, 3]
    assert len(invoke("-n", "5000")[1].splitlines()) == 2 * PAGE + 9


def test_csv_has_all_columns_and_nothing_that_a_spreadsheet_would_run(recorder: Recorder) -> None:
    recorder.records = [a_record(caller_agent="=cmd()", routed_caller="+1;x", reason='a "b",\nc')]
    (row,) = csv.DictReader(io.StringIO(invoke("--csv")[1]))
    assert (row["started_at"], row["callee"]) == ("2026-11-25T10:58:29.123Z", "+351912345678")
    assert (row["caller_agent"], row["routed_caller"]) == ("'=cmd()", "'+1;x")
    assert (row["reason"], json.loads(row["attempts"])[0]["status"]) == ('a "b",\nc', 503)


def test_json_has_a_document_a_line(recorder: Recorder) -> None:
    first, second = map(json.loads, invoke("--json")[1].splitlines())
    assert (first["attempts"][1]["status"], first["duration_ms"]) == (200, 60_000)
    assert (second["callee"], second["callee_uri"], second["duration_ms"]) == (None, "sip:x@y", None)


def test_control_characters_of_peers_do_not_reach_a_terminal(recorder: Recorder) -> None:
    recorder.records = [a_record(caller="\x1b[31mred", reason="a\tb")]
    assert "\x1b" not in invoke()[1]
    assert invoke()[1].count("\t") == 8


def test_a_duration_is_told_as_a_clock_does(recorder: Recorder) -> None:
    recorder.records = [a_record(duration_ms=ms) for ms in (400, 5_000, 751_000, 3_723_000)]
    assert [line.split("\t")[6] for line in invoke()[1].splitlines()] == ["0:00", "0:05", "12:31", "1:02:03"]


def test_what_the_recorder_cannot_do_is_said(recorder: Recorder) -> None:
    recorder.refusal = Refused("slow", "the search takes longer than 4 s")
    assert invoke() == (1, "", "oneproxy: the search takes longer than 4 s\n")
    recorder.refusal = BansFound([])
    assert invoke()[0] == 1
