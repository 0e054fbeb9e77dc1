"""The commands that show and change the site: what they print, and their exit statuses."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from oneproxy import cli, site_commands
from oneproxy.site.entries import make_entries
from oneproxy.site.model import Version
from oneproxy.store.database import Database
from oneproxy.store.sites import Sites
from postgres import Cluster

SITE = """\
[[domain]]
name = "example.com"
[[subscriber]]
aor = "alice@example.com"
password = "secret"
"""
#: Ten mistakes of ten kinds.
BAD = """\
[[domain]]
name = "example.com"
min_expires_s = 90
max_expires_s = 60
[[domain]]
name = "EXAMPLE.com"
[[subscriber]]
aor = "alice@nowhere.org"
password = "hush"
[[subscriber]]
aor = "bob@example.com"
[[subscriber]]
aor = "carol@example.com"
password = ""
[[access]]
source = "10.0.0.1/8"
action = "deny"
[[access]]
action = "allow"
[[route]]
prefix = "1"
provider = "none"
[flood]
window_s = "long"
[congestion]
retry_after_s = [9, 1]
"""


@pytest.fixture
def file(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a site and where its database is."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "site.toml"
    made.write_text(f'[database]\nproxy = "sqlite:///none.db"\nsystem = "{database_url}"\n{SITE}')
    return made


def invoke(*words: object, typed: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], input=typed)
    return result.exit_code, result.stdout, result.stderr


def done(*words: object) -> str:
    """What a command printed that went well."""
    status, output, errors = invoke(*words)
    assert status == 0, errors
    return output


def change(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


def test_a_site_is_applied_once(file: Path) -> None:
    said = ["version 1: 2 added", "+ domain example.com", "+ subscriber alice@example.com"]
    assert done("apply", file).splitlines() == said
    assert done("apply", file) == "nothing differs; version 1 stays\n"


def test_a_changed_password_is_told_without_showing_it(file: Path) -> None:
    done("apply", file)
    change(file, "secret", "hush")
    line = "~ subscriber alice@example.com: ha1 changed\n"
    assert done("diff", file) == line
    assert done("apply", file, "--comment", "new password") == f"version 2: 1 changed\n{line}"
    assert done("diff", "--config", file) == done("diff", "1", "--config", file) == line
    assert done("diff", "2", "2", "--config", file) == ""
    assert done("diff", "1", file) == line


def test_versions_are_lines_in_a_pipe(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("socket.gethostname", lambda: "edge")
    monkeypatch.setenv("SUDO_USER", "carol")
    done("apply", file)
    change(file, "secret", "hush")
    done("apply", file, "-m", "new\tpassword")
    assert done("versions", "--config", file).splitlines() == [
        "2\t2023-11-14 22:13:20\tcarol@edge\t0\t1\t0\tnew\\tpassword",
        f"1\t2023-11-14 22:13:20\tcarol@edge\t2\t0\t0\tfrom edge:{file}",
    ]
    assert len(done("versions", "-n", "1", "--config", file).splitlines()) == 1


def test_versions_are_a_table_on_a_terminal(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done("apply", file)
    monkeypatch.setattr(site_commands, "_is_terminal", lambda: True)
    head = done("versions", "--config", file).splitlines()[1]
    assert [word for word in head.split() if word.isalpha()][:2] == ["version", "when"]


def test_what_is_exported_is_taken_back(file: Path, tmp_path: Path) -> None:
    done("apply", file)
    text = done("export", "--config", file)
    assert "secret" not in text
    exported = tmp_path / "exported.toml"
    exported.write_text(text)
    assert done("apply", exported, "--config", file) == "nothing differs; version 1 stays\n"
    change(file, "secret", "hush")
    done("apply", file)
    assert done("export", "--version", 1, "--config", file) == text != done("export", "--config", file)


def test_what_is_exported_is_taken_back_from_a_pipe(file: Path) -> None:
    done("apply", file)
    text = done("export", "--config", file)
    typed = text.replace("alice", "bob")
    assert invoke("diff", "-", "--config", file, typed=text) == (0, "", "")
    assert invoke("apply", "-", "--config", file, typed=typed)[:2] == (
        0,
        "version 2: 1 added, 1 removed\n- subscriber alice@example.com\n+ subscriber bob@example.com\n",
    )
    # A pipe is read once, its [database] too.
    assert invoke("diff", "-", typed=file.read_text())[0] == 0
    assert invoke("apply", "-", typed=file.read_text())[1].splitlines()[0] == "version 3: 1 added, 1 removed"
    assert invoke("apply", "-", typed="x = 1\n")[2].splitlines()[-1] == "-: 1 mistake"


def test_a_version_is_brought_back_as_a_new_one(file: Path) -> None:
    done("apply", file)
    change(file, "alice", "bob")
    done("apply", file)
    assert done("rollback", 1, "--config", file).splitlines() == [
        "version 3: 1 added, 1 removed",
        "+ subscriber alice@example.com",
        "- subscriber bob@example.com",
    ]
    assert done("diff", "1", "3", "--config", file) == ""


def test_ten_mistakes_are_ten_lines_and_nothing_is_changed(file: Path, database_url: str) -> None:
    done("apply", file)
    change(file, SITE, BAD)
    status, output, errors = invoke("apply", file)
    lines = errors.splitlines()
    assert (status, output, lines[-1]) == (2, "", f"{file}: 10 mistakes")
    places = [line.removeprefix(f"{file}:").partition(": found")[0] for line in lines[:-1]]
    assert places == [
        "6: domain[1].min_expires_s",
        "9: domain[2].name",
        "11: subscriber[1].aor",
        "13: subscriber[2]",
        "17: subscriber[3].password",
        "19: access[1].source",
        "21: access[2]",
        "25: route[1].provider",
        "27: flood.window_s",
        "29: congestion.retry_after_s",
    ]
    assert all("; allowed " in line for line in lines[:-1])
    assert "hush" not in errors
    database = Database("system", database_url)
    assert Sites(database).latest().version == 1
    database.drop()


def test_a_long_change_is_cut(file: Path) -> None:
    more = "".join(f'[[subscriber]]\naor = "u{number}@example.com"\npassword = "x"\n' for number in range(30))
    change(file, SITE, SITE + more)
    lines = done("apply", file).splitlines()
    assert (lines[0], len(lines), lines[-1]) == (
        "version 1: 32 added",
        22,
        "and 12 more; `oneproxy diff` shows all",
    )
    assert len(done("diff", "--config", file).splitlines()) == 32


def test_sections_of_this_machine_are_none_of_the_sites(file: Path) -> None:
    done("apply", file)
    change(file, SITE, SITE + "[cdr]\nenabled = true\n[node]\nprocesses = 2\n")
    status, _, errors = invoke("apply", file)
    assert (status, errors) == (0, "")
    assert "[cdr]\nenabled = true" in done("export", "--config", file)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rollback", "9", "--config", "site.toml"], "oneproxy: there is no version 9; the newest is 1"),
        (["diff", "9", "--config", "site.toml"], "oneproxy: there is no version 9; the newest is 1"),
        (["export", "-v", "9", "--config", "site.toml"], "oneproxy: there is no version 9; the newest is 1"),
        (
            ["diff", "none.toml", "-c", "site.toml"],
            "none.toml: found no way to read it (no such file or directory); ",
        ),
        (["apply", "empty.toml"], "oneproxy: empty.toml: no site in it; a [[domain]] is the least"),
        (["rollback", "0"], "oneproxy: invalid value for 'N': "),
    ],
)
def test_a_mistake_is_a_line_and_status_2(file: Path, words: list[str], line: str) -> None:
    done("apply", file)
    Path("empty.toml").write_text("[node]\n")
    status, output, errors = invoke(*words)
    assert (status, output) == (2, "")
    assert errors.startswith(line)


@pytest.mark.parametrize("words", [["rollback", "1"], ["diff", "1"], ["export", "-v", "1"]])
def test_a_version_that_is_not_kept_any_more_is_said_to_be_that(
    file: Path, database_url: str, words: list[str]
) -> None:
    database = Database("system", database_url)
    database.open()
    for number in range(1, 5):
        entries = make_entries([("domain", {"name": f"d{number}.org"})])
        Sites(database).replace(entries, Version(0, 10_000.0 * number, "carol", ""))
    Sites(database, keep=2).prune(40_000.0)
    database.drop()
    assert invoke(*words, "--config", file) == (
        2,
        "",
        "oneproxy: version 1 is not kept any more; `oneproxy versions` lists those that are, "
        "`keep_versions` under [database] says how many\n",
    )


def test_a_database_that_cannot_be_used_is_a_line_and_status_1(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(f'[database]\nproxy = "postgresql://u:hush@127.0.0.1:1/x"\n{SITE}')
    for words in (["apply", file], ["versions", "--config", file]):
        status, output, errors = invoke(*words)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert errors.startswith(
            "oneproxy: cannot use the system database postgresql://u:***@127.0.0.1:1/x: "
        )


def test_a_database_that_writes_nothing_is_a_line(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.database()
    file = tmp_path / "site.toml"
    file.write_text(f'[database]\nproxy = "{url}"\n{SITE}')
    done("apply", file)
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    change(file, SITE, '[[domain]]\nname = "example.org"\n')
    command = [sys.executable, "-m", "oneproxy", "apply", str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    assert ": cannot execute UPDATE in a read-only transaction; " in found.stderr


def test_a_database_that_is_not_there_is_not_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("versions") == (
        1,
        "",
        "oneproxy: there is no database sqlite:///oneproxy.db; --config FILE says where it is\n",
    )
    (tmp_path / "far.toml").write_text('[database]\nproxy = "sqlite:///far.db"\n')
    assert invoke("versions", "-c", "far.toml") == (
        1,
        "",
        "oneproxy: there is no database sqlite:///far.db; `oneproxy run` or `apply` makes one, "
        "or change [database] in far.toml\n",
    )
    (tmp_path / "far.toml").unlink()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "site.toml").write_text(SITE)
    status, _, errors = invoke("apply", "site.toml")
    assert (status, errors) == (0, "oneproxy: sqlite:///oneproxy.db is a new database\n")


def test_the_commands_say_who_from_sudo_or_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "dave")
    assert site_commands._by("").who.startswith("dave@")
