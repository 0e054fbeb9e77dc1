"""The commands that ask a running OneProxy: what they print, and what they say where none runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneproxy import cli, site_commands
from oneproxy.ipc import asking
from oneproxy.ipc.calls import AskCalls, CallEnded, CallFound, CallsFound, EndCall
from oneproxy.ipc.desk import (
    AskExplain,
    AskGateways,
    BansFound,
    Explained,
    Found,
    GatewayFound,
    GatewaysFound,
    NodeExplained,
    ProviderFound,
    Question,
    Refused,
    StandingFound,
)
from oneproxy.ipc.limits import AskLimits, LimitFound, LimitsFound, ShareFound
from oneproxy.ipc.running import Notice, asking_token

STANDING = StandingFound("waiting", "sip:me@carrier", 403, "Forbidden", "", 1.7e9, 0.0)
ENDS = {"2xx": 7, "4xx": 5, "5xx": 2, "timeout": 1, "transport": 0, "given-up": 3}
A1 = GatewayFound(
    "a1", "sip:192.0.2.9", "ejected", 1.7e9, 1.7e9, 3, 30, 1, 19.6, 0.955, ENDS, False, 0.0, STANDING
)
A2 = GatewayFound("a2", "sip:192.0.2.10", "up", 0.0, 0.0, 0, 0, 0, 20.0, 1.0, {}, True, 1.7e9)
GATEWAYS = GatewaysFound([ProviderFound("carrier", 3, 0, 0, 0, 0, [A1, A2], "edge-1")])
EXPLAINED = Explained(
    [NodeExplained([("number", "+351"), ("choice", "carrier/a1")], "to carrier/a1", "carrier/a1", ("sip:x",))]
)
CALLS = CallsFound(
    [
        CallFound(
            "0190-1",
            "answered",
            "alice@x.org",
            "+351912345678",
            "x.org",
            "192.0.2.7:5060",
            "carrier",
            "a1",
            1.7e9,
            1.7e9,
            3661.9,
            "edge-1",
        ),
        CallFound("0190-2", "ringing", "a\x1b[1m", "b", "", "", "", "", 1.7e9, 0.0, 2.0, "edge-2"),
    ],
    2,
    2,
)
CALL = ("explain", "--from", "alice@example.com", "--to", "+351912345678")


class Recorder:
    """Answers one question, and remembers what was asked and how."""

    def __init__(self) -> None:
        self.found: Found | OSError | TimeoutError = GATEWAYS
        self.asked: list[tuple[str, str, Question]] = []

    async def ask_once(self, endpoint: str, token: str, question: Question) -> Found:
        self.asked.append((endpoint, token, question))
        if isinstance(self.found, OSError | TimeoutError):
            raise self.found
        return self.found


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(tmp_path)
    made = Recorder()
    monkeypatch.setattr(asking, "ask_once", made.ask_once)
    Notice("oneproxy-site.last", "unix:/run/x", "secret")
    return made


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, words)
    return result.exit_code, result.stdout, result.stderr


def test_gateways_are_a_line_each_in_a_pipe(recorder: Recorder) -> None:
    status, out, _ = invoke("gateways")
    assert (status, out.splitlines()) == (
        0,
        [
            "edge-1\tcarrier/a1\tsip:192.0.2.9\tejected, until 22:13:20 UTC"
            "\t3/30\t1\t20\t95.5%\t3\twaiting (403)",
            "edge-1\tcarrier/a2\tsip:192.0.2.10\tup, drained, rests until 22:13:20 UTC"
            "\t0\t0\t20\t100.0%\t0\t",
        ],
    )
    assert recorder.asked == [("unix:/run/x", asking_token("secret"), AskGateways())]


def test_gateways_are_a_table_on_a_terminal(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_commands, "_is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    lines = invoke("gateways")[1].splitlines()
    assert lines[1].split()[1:6:2] == ["node", "gateway", "uri"]
    assert "carrier/a1" in lines[3]


def test_gateways_are_a_document_with_json(recorder: Recorder) -> None:
    document = json.loads(invoke("gateways", "--json")[1])
    assert document["items"][0]["gateways"][0]["registration"]["status"] == 403
    assert (document["items"][0]["node"], document["silent"]) == ("edge-1", [])


def test_nodes_that_do_not_answer_and_gateways_without_room_are_named(recorder: Recorder) -> None:
    recorder.found = GatewaysFound([], 7, ("edge-2",))
    assert invoke("gateways") == (
        0,
        "",
        "oneproxy: and 7 more gateways\noneproxy: no answer from edge-2\n",
    )


LIMITS = LimitsFound(
    [
        LimitFound("node", "node", "", 50, 1.0, 1000, 7, 120, 3, node="edge-1"),
        LimitFound("tenant", "domain", "x.org", 5, 0.5, 0, 2, 0, 0, node="edge-1"),
        LimitFound(
            "caller *",
            "caller",
            "*",
            10,
            60.0,
            2,
            0,
            0,
            9,
            321,
            4,
            [ShareFound("a@x.org", 10, 2, 8), ShareFound("b@x.org", 3, 0, 1)],
            "edge-1",
        ),
    ]
)


def test_limits_are_a_line_each_and_the_busiest_below_them(recorder: Recorder) -> None:
    recorder.found = LIMITS
    status, out, _ = invoke("limits")
    assert (status, out.splitlines()) == (
        0,
        [
            "edge-1\tnode\t\t7/50 in 1 s\t120/1000\t3",
            "edge-1\ttenant\tx.org\t2/5 in 0.5 s\t\t0",
            "edge-1\tcaller *\teach of 321; 4 calls not counted\t10 in 60 s\t2\t9",
            "edge-1\tcaller *\ta@x.org\t10/10 in 60 s\t2/2\t8",
            "edge-1\tcaller *\tb@x.org\t3/10 in 60 s\t0/2\t1",
        ],
    )
    assert recorder.asked == [("unix:/run/x", asking_token("secret"), AskLimits())]


def test_limits_are_a_document_with_json(recorder: Recorder) -> None:
    recorder.found = LIMITS
    document = json.loads(invoke("limits", "--json")[1])
    assert document["items"][2]["busiest"][0] == {"of": "a@x.org", "within": 10, "calls_on": 2, "refused": 8}
    assert (document["items"][0]["whom"], document["items"][1]["max_calls"]) == (None, None)


def test_limits_without_room_and_nodes_that_do_not_answer_are_named(recorder: Recorder) -> None:
    recorder.found = LimitsFound([], 7, ("edge-2",))
    assert invoke("limits") == (0, "", "oneproxy: and 7 more limits\noneproxy: no answer from edge-2\n")


def test_a_call_is_explained_line_by_line(recorder: Recorder) -> None:
    recorder.found = EXPLAINED
    status, out, _ = invoke(*CALL, "--source", "192.0.2.7", "--method", "MESSAGE", "--transport", "tcp")
    assert (status, out) == (
        0,
        "number   +351\nchoice   carrier/a1\nverdict  to carrier/a1\n",
    )
    question = AskExplain("alice@example.com", "+351912345678", "192.0.2.7", "tcp", "MESSAGE")
    assert recorder.asked[0][2] == question


def test_what_each_of_several_nodes_says_stands_under_its_name(recorder: Recorder) -> None:
    nodes = [NodeExplained([("a", "b\x1b[1m")], "c", node=name) for name in ("edge-1", "edge-2")]
    recorder.found = Explained(nodes)
    lines = ["edge-1:", "a        b\\u001b[1m", "verdict  c"]
    assert invoke(*CALL)[1].splitlines() == [*lines, "edge-2:", *lines[1:]]


def test_an_explained_call_is_a_document_with_json(recorder: Recorder) -> None:
    recorder.found = EXPLAINED
    document = json.loads(invoke(*CALL, "--json")[1])
    assert document["items"][0]["gateway"] == "carrier/a1"
    assert document["items"][0]["steps"][0] == {"heading": "number", "text": "+351"}


def test_calls_are_a_line_each_in_a_pipe(recorder: Recorder) -> None:
    recorder.found = CALLS
    assert invoke("calls") == (
        0,
        "0190-1\tedge-1\tanswered\talice@x.org\t+351912345678\tcarrier/a1\t22:13:20 UTC\t1:01:01\n"
        "0190-2\tedge-2\tringing\ta\\u001b[1m\tb\t\t22:13:20 UTC\t0:00:02\n",
        "",
    )
    assert recorder.asked == [("unix:/run/x", asking_token("secret"), AskCalls())]


def test_calls_are_a_document_with_json(recorder: Recorder) -> None:
    recorder.found = CALLS
    words = ("--number", "+351", "--state", "answered", "--provider", "carrier", "--gateway", "a1")
    document = json.loads(invoke("calls", *words, "--limit", "7", "--json")[1])
    assert ([one["id"] for one in document["items"]], document["total"]) == (["0190-1", "0190-2"], 2)
    assert recorder.asked[0][2] == AskCalls("+351", "answered", "carrier", "a1", 7)


def test_calls_that_are_not_shown_are_counted(recorder: Recorder) -> None:
    recorder.found = CallsFound([], 900, 20, 300, ("edge-2",))
    assert invoke("calls", "--number", "1")[2] == (
        "oneproxy: and 20 more calls; --limit shows up to 1000\n"
        "oneproxy: 300 of 900 calls were not looked at\n"
        "oneproxy: no answer from edge-2\n"
    )


def test_a_call_is_ended_without_a_question(recorder: Recorder) -> None:
    recorder.found = CallEnded("edge-1")
    assert invoke("calls", "--end", "0190-1") == (0, "ended at edge-1\n", "")
    status, out, _ = invoke("calls", "--end", "0190-1", "--reason", "Closing time", "--json")
    assert (status, json.loads(out)) == (0, {"id": "0190-1", "node": "edge-1", "silent": []})
    assert [one[2] for one in recorder.asked] == [EndCall("0190-1"), EndCall("0190-1", "Closing time")]


def test_a_call_that_nobody_has_is_said(recorder: Recorder) -> None:
    recorder.found = CallEnded("")
    assert invoke("calls", "--end", "x") == (2, "", "oneproxy: there is no call x\n")
    recorder.found = CallEnded("", ("edge-2",))
    assert invoke("calls", "--end", "x") == (
        1,
        "",
        "oneproxy: no answer from edge-2\noneproxy: there is no call x\n",
    )


def test_what_is_wrong_with_the_words_is_said_and_nothing_is_asked(recorder: Recorder) -> None:
    status, _, err = invoke("calls", "--state", "over")
    assert (status, err) == (2, "oneproxy: --state: found 'over'; allowed calling, ringing or answered\n")
    status, _, err = invoke("calls", "--reason", "Closing time")
    assert (status, err) == (2, "oneproxy: --reason is for --end; without it no call is ended\n")
    assert recorder.asked == []


def test_a_question_with_a_mistake_says_which(recorder: Recorder) -> None:
    recorder.found = Refused("unfit", "source: found 'x'; allowed an IP address")
    assert invoke(*CALL) == (2, "", "oneproxy: source: found 'x'; allowed an IP address\n")
    recorder.found = Refused("busy", "64 questions wait already")
    assert invoke(*CALL) == (1, "", "oneproxy: 64 questions wait already\n")


def test_an_answer_of_another_kind_is_a_fault(recorder: Recorder) -> None:
    recorder.found = BansFound([])
    for words in (("gateways",), ("limits",), CALL, ("calls",), ("calls", "--end", "x")):
        status, _, err = invoke(*words)
        assert (status, err) == (1, "oneproxy: the answer was BansFound; is it the same version that runs?\n")


@pytest.mark.parametrize("fault", [ConnectionRefusedError(), FileNotFoundError(), ConnectionError("closed")])
def test_where_it_was_killed_the_file_that_it_left_is_named(recorder: Recorder, fault: OSError) -> None:
    recorder.found = fault
    status, _, err = invoke("gateways")
    assert status == 1
    assert err.startswith("oneproxy: no OneProxy runs here: oneproxy-site.last.running is what process ")


def test_where_none_runs_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("gateways",), CALL):
        status, _, err = invoke(*words)
        assert status == 1
        assert err == (
            "oneproxy: no OneProxy runs here: there is no oneproxy-site.last.running; its directory is the"
            " one to be in, and --config names the file that it runs with\n"
        )


def test_one_that_does_not_answer_is_said(recorder: Recorder) -> None:
    recorder.found = TimeoutError()
    status, _, err = invoke("gateways")
    assert status == 1
    assert err.endswith(" does not answer; its log says why\n")


def test_a_file_that_is_none_is_said(recorder: Recorder) -> None:
    Path("oneproxy-site.last.running").write_text("x")
    status, _, err = invoke("gateways")
    assert (status, err.endswith("remove it and start OneProxy again\n")) == (1, True)


def test_a_file_that_may_not_be_read_is_said(recorder: Recorder) -> None:
    Path("oneproxy-site.last.running").unlink()
    Path("oneproxy-site.last.running").mkdir()
    status, _, err = invoke("gateways")
    assert status == 1
    assert err.startswith("oneproxy: oneproxy-site.last.running cannot be read: ")
    assert err.endswith("be the user that OneProxy runs as (sudo -u)\n")


def test_the_file_of_the_configuration_says_where_it_runs(recorder: Recorder, tmp_path: Path) -> None:
    Notice(str(tmp_path / "other.last"), "unix:/run/other", "b")
    config = tmp_path / "f.toml"
    config.write_text(
        '[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5060"\n[database]\nlast_site = "other.last"\n'
    )
    assert invoke("gateways", "--config", str(config))[0] == 0
    assert recorder.asked[0][0] == "unix:/run/other"
