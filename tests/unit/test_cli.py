"""The command line: what it prints, where, and its exit statuses."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneproxy import __version__, cli, supervisor
from oneproxy.ipc.messages import Wanted
from oneproxy.site.file import read
from oneproxy.site.model import Admin, Configuration, Token
from oneproxy.site.sample import sample

GOOD = """\
[[listen]]
transport = "udp"
address = "127.0.0.1:5060"
[[domain]]
name = "example.com"
"""
BAD = GOOD.replace("udp", "sctp").replace("name", "nane")
MISTAKES = [
    '{file}:2: listen[1].transport: found "sctp"; allowed "udp", "tcp", "tls", "ws" or "wss"',
    '{file}:4: domain[1].name: found nothing; allowed a host name such as "example.com", or an IP address',
    "{file}:5: domain[1].nane: found an unknown key; allowed name, aliases, authenticate, algorithms, "
    "min_expires_s, max_expires_s, default_expires_s, spread_percent, max_contacts, when_full, gruu, "
    "service_route, redirect, redirect_status, follow_redirects, country; did you mean name?",
    "{file}: 3 mistakes",
]


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, words)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def sites() -> list[Wanted | None]:
    """The sites that a run was asked to apply."""
    return []


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, sites: list[Wanted | None]) -> list[tuple[Configuration, float]]:
    """Stands in for the supervisor: what it was asked to run, each being ready at once."""
    asked: list[tuple[Configuration, float]] = []

    def run(configuration: Configuration, drain_s: float, on_ready: Any, site: Wanted | None) -> int:
        asked.append((configuration, drain_s))
        sites.append(site)
        on_ready(["udp 127.0.0.1:5060"], site is not None)
        return 0

    monkeypatch.setattr(supervisor, "run", run)
    monkeypatch.setattr("oneproxy.logs.configure", lambda process: None)
    return asked


def write(folder: Path, text: str) -> Path:
    file = folder / "oneproxy.toml"
    file.write_text(text)
    return file


def test_version_names_oneproxy_and_python() -> None:
    python = ".".join(str(number) for number in sys.version_info[:3])
    assert invoke("version") == (0, f"oneproxy {__version__} (Python {python})\n", "")


def test_the_version_is_an_option_too() -> None:
    assert invoke("--version") == invoke("version")


@pytest.mark.parametrize("words", [(), ("run",), ("check",), ("export",), ("token",)])
def test_h_is_help_too_and_help_has_no_boxes(words: tuple[str, ...]) -> None:
    status, output, errors = invoke(*words, "-h")
    assert (status, output, errors) == invoke(*words, "--help")
    assert (status, errors) == (0, "")
    assert output.startswith(f"Usage: {' '.join(('oneproxy', *words))} ")
    assert output.isascii()


def test_who_says_nothing_is_told_what_there_is() -> None:
    assert invoke() == (2, invoke("--help")[1], "")


def test_version_loads_neither_database_nor_configuration_libraries() -> None:
    code = (
        "import sys, oneproxy.cli; print(sorted({'sqlalchemy', 'pydantic', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_check_counts_what_a_good_file_has(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    assert invoke("check", str(file)) == (
        0,
        f"{file}: no mistakes; 1 listen address, 1 domain, 0 subscribers\n",
        "",
    )


def test_check_says_what_this_version_does_not_act_on(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        GOOD + '[cdr]\nenabled = true\n[farm]\naddress = "10.0.0.1:5070"\npeers = ["10.0.0.2:5070"]\n',
    )
    status, output, errors = invoke("check", str(file))
    assert (status, errors) == (0, "")
    assert output.splitlines()[1:] == [
        f"{file}: [farm.address] is read, but this version does not act on it",
        f"{file}: [farm.peers] is read, but this version does not act on it: "
        "this machine's bindings are known to itself alone",
    ]


def test_a_token_is_shown_once_and_the_file_gets_its_hash(tmp_path: Path) -> None:
    status, output, errors = invoke("token", "crm", "--role", "write")
    secret = errors.split()[-1]
    assert status == 0
    assert len(secret) == 43
    assert secret not in output
    # The last line of a file need not have an end.
    file = write(tmp_path, GOOD + "[admin]" + output)
    found = read(file)
    assert not isinstance(found, list)
    assert found.machine.admin == Admin(
        "127.0.0.1", 8080, (Token("crm", sha256(secret.encode()).hexdigest(), "write"),)
    )
    assert invoke("token", "crm")[2] != errors


def test_a_token_without_a_proper_name_is_refused() -> None:
    assert invoke("token", "a b") == (
        2,
        "",
        'oneproxy: NAME: found \'a b\'; allowed letters, digits, ".", "_" and "-", at most 63\n',
    )


def test_check_prints_every_mistake_and_exits_2(tmp_path: Path) -> None:
    file = write(tmp_path, BAD)
    status, output, errors = invoke("check", str(file))
    assert (status, errors) == (2, "")
    assert output.splitlines() == [line.format(file=file) for line in MISTAKES]


def test_run_does_not_start_with_a_mistaken_file(tmp_path: Path, runs: list[object]) -> None:
    file = write(tmp_path, BAD)
    status, output, errors = invoke("run", "--config", str(file))
    assert (status, output) == (2, "")
    assert errors.splitlines() == [line.format(file=file) for line in MISTAKES]
    assert runs == []


def test_run_without_a_file_tells_a_newcomer_what_to_do(runs: list[tuple[Configuration, float]]) -> None:
    status, output, _ = invoke("run")
    assert (status, runs) == (0, [(sample(), 5.0)])
    first, *_ = output.splitlines()
    assert first == f"OneProxy {__version__} is ready: udp 127.0.0.1:5060"
    for word in ("alice@127.0.0.1", "bob@127.0.0.1", "password secret", "Ctrl-C", "oneproxy run --config"):
        assert word in output


def test_run_tells_a_newcomer_nothing_of_accounts_that_another_site_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(_configuration: Configuration, _drain_s: float, on_ready: Any, _site: Wanted | None) -> int:
        on_ready(["udp 127.0.0.1:5060"], False)
        return 0

    monkeypatch.setattr(supervisor, "run", run)
    monkeypatch.setattr("oneproxy.logs.configure", lambda process: None)
    assert invoke("run")[1] == f"OneProxy {__version__} is ready: udp 127.0.0.1:5060\n"


def test_run_has_the_site_of_its_file_applied(
    tmp_path: Path, runs: list[object], sites: list[Wanted | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "edge")
    file = write(tmp_path, GOOD)
    invoke("run", "--config", str(file))
    write(tmp_path, "# A comment is no difference.\n" + GOOD)
    invoke("run", "--config", str(file))
    write(tmp_path, GOOD.replace("example.com", "example.org"))
    invoke("run", "--config", str(file))
    write(tmp_path, GOOD.partition("[[domain]]")[0])
    invoke("run", "--config", str(file))
    invoke("run")
    first, same, other, none, sample_site = sites
    assert first is not None and other is not None and sample_site is not None
    assert (first.file, first.who, first.first_only) == (f"edge:{file}", "run", False)
    assert (same, none) == (first, None)
    assert other.digest != first.digest
    assert (sample_site.file, sample_site.first_only) == ("the sample", True)


def test_run_with_a_file_says_that_it_is_ready_and_no_more(
    tmp_path: Path, runs: list[tuple[Configuration, float]]
) -> None:
    file = write(tmp_path, GOOD)
    status, output, _ = invoke("run", "--config", str(file), "--drain", "0.5")
    assert (status, output) == (0, f"OneProxy {__version__} is ready: udp 127.0.0.1:5060\n")
    assert [drain_s for _, drain_s in runs] == [0.5]


def test_run_warns_of_every_section_that_it_does_not_act_on(
    tmp_path: Path, runs: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[node]\nprocesses = 2\n[farm]\npeers = ["10.0.0.2:5070"]\n'
    file = write(tmp_path, GOOD + text)
    _, output, _ = invoke("run", "--config", str(file))
    warned = [line for line in output.splitlines() if "does not act on it" in line]
    assert len(warned) == 2
    assert "one node serves" in warned[0]
    assert "known to itself alone" in warned[1]


def test_the_exit_status_of_run_is_the_supervisors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "run", lambda *_: 1)
    monkeypatch.setattr("oneproxy.logs.configure", lambda process: None)
    assert invoke("run") == (1, "", "")


@pytest.mark.parametrize(
    ("words", "said", "command"),
    [
        (["run", "--confg", "x"], "no such option: --confg", "oneproxy run"),
        (["chek"], "no such command 'chek'", "oneproxy"),
        (["--nope"], "no such option: --nope", "oneproxy"),
        (["check"], "missing argument 'FILE'", "oneproxy check"),
        (["run", "--drain", "-1"], "invalid value for '--drain': ", "oneproxy run"),
        (["export", "--version", "x"], "invalid value for '--version' / '-v': ", "oneproxy export"),
        (["token", "a", "b"], "got unexpected extra argument", "oneproxy token"),
    ],
)
def test_a_mistyped_command_line_is_explained_in_one_line_and_exits_2(
    words: list[str], said: str, command: str
) -> None:
    status, output, errors = invoke(*words)
    assert (status, output) == (2, "")
    assert errors.startswith(f"oneproxy: {said}")
    assert errors.endswith(f"; `{command} --help` shows what there is\n")
    assert errors.count("\n") == 1


def test_a_fault_of_our_own_is_a_line_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("it\nbroke")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    captured = capsys.readouterr()
    assert (exit_info.value.code, captured.out) == (1, "")
    assert captured.err.splitlines()[0] == "oneproxy: internal fault: RuntimeError: it broke"
    assert len(captured.err.splitlines()) == 2
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(RuntimeError, match="broke"):
        cli.main()


def test_the_module_runs_as_the_command_does() -> None:
    command = [sys.executable, "-P", "-m", "oneproxy", "version"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"oneproxy {__version__} ")
