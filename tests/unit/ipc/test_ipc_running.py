"""The file by which commands find a running OneProxy."""

import os
import stat
from pathlib import Path

import pytest

from oneproxy.ipc import running
from oneproxy.ipc.running import Notice, Running, asking_token


@pytest.fixture
def last_site(tmp_path: Path) -> str:
    return str(tmp_path / "site.last")


def test_it_is_its_users_alone_and_goes_with_its_process(last_site: str) -> None:
    notice = Notice(last_site, "unix:/run/x", "secret")
    path = Path(f"{last_site}.running")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert running.read(last_site) == Running("unix:/run/x", asking_token("secret"), os.getpid())
    assert "secret" not in path.read_text()
    notice.remove()
    assert list(path.parent.iterdir()) == []
    notice.remove()


def test_what_a_killed_process_left_is_replaced(last_site: str) -> None:
    Notice(last_site, "unix:/run/old", "a")
    Path(f"{last_site}.running.new").write_text("half")
    Path(f"{last_site}.running.new").chmod(0o666)
    Notice(last_site, "unix:/run/new", "b")
    found = running.read(last_site)
    assert found is not None
    assert found.endpoint == "unix:/run/new"
    assert stat.S_IMODE(Path(f"{last_site}.running").stat().st_mode) == 0o600


def test_another_ones_file_stays(last_site: str) -> None:
    first = Notice(last_site, "unix:/run/1", "a")
    Notice(last_site, "unix:/run/2", "b")
    first.remove()
    found = running.read(last_site)
    assert found is not None
    assert found.endpoint == "unix:/run/2"


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"endpoint": 1, "token": "x", "pid": 2}'])
def test_what_is_no_such_file_is_none(last_site: str, text: str) -> None:
    Path(f"{last_site}.running").write_text(text)
    assert running.read(last_site) is None


def test_no_file_is_an_error(last_site: str) -> None:
    with pytest.raises(FileNotFoundError):
        running.read(last_site)


def test_a_token_for_questions_tells_nothing_of_that_of_nodes() -> None:
    made = {asking_token(token) for token in ("", "a", "b", "x" * 100)}
    assert len(made) == 4
    assert all(len(one) == 32 for one in made)
