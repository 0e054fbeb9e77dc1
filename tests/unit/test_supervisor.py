"""The supervisor, with stand-in children that are a few lines of Python each."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from oneproxy import supervisor as supervisor_module
from oneproxy.site.model import Configuration, Machine, Site
from oneproxy.supervisor import EXIT_INTERRUPTED, Role, Supervisor, supervise
from waiting import PATIENCE_S, until, until_now

CONFIGURATION = Configuration(
    Machine("edge-1", (), "sqlite:///a.db", "sqlite:///a.db", processes=2), Site({}, {})
)

#: Writes what it does into the file `diary`, and behaves as its arguments say.
CHILD = """
import asyncio, os, sys, time
from oneproxy.ipc import child
name, kind = sys.argv[1:]
def note(what):
    with open("diary", "a") as diary:
        diary.write(f"{name} {what}\\n")
start, parent = child.meet()
note(f"starts as {start.index} of {start.machine.name}")
if kind == "fails":
    parent.failed(f"{name} has no address")
    sys.exit(1)
if kind == "crashes":
    sys.exit(7)
if kind == "fails-later":
    if os.path.exists("once"):
        parent.failed(f"{name} has no address")
        sys.exit(1)
    open("once", "w").close()
async def main():
    stop = asyncio.get_running_loop().create_future()
    parent.watch(asyncio.get_running_loop(), stop.set_result)
    if kind != "slow":
        parent.ready(f"{name} {os.getpid()}")
    drain_s = await stop
    note(f"drains {drain_s}")
    if kind == "stubborn":
        await asyncio.sleep(60)
asyncio.run(main())
note("ends")
"""


def role(name: str, kind: str = "plain", index: int = 0) -> Role:
    return Role(name, (sys.executable, "-c", CHILD, name, kind), index)


class Stage:
    """A supervisor under way."""

    def __init__(self, roles: list[Role], beside: Role | None = None) -> None:
        self.supervisor = Supervisor(CONFIGURATION.machine, "unix:/none", roles, beside=beside)
        self.errors = io.StringIO()
        self.ready: list[list[str]] = []
        self.task = asyncio.create_task(supervise(self.supervisor, 0.5, self.on_ready, self.errors))

    def on_ready(self, details: list[str], _asked: bool) -> None:
        self.ready.append(details)

    async def until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            found = condition()
            assert found or not self.task.done()
            return found

        await until(holds)

    async def serving(self) -> None:
        await self.until(lambda: bool(self.ready))

    async def end(self) -> int:
        """The exit status; every child has ended."""
        status = await asyncio.wait_for(self.task, PATIENCE_S)
        assert [child.pid for child in self.supervisor.children] == [None] * len(self.supervisor.children)
        return status

    async def pid(self, at: int) -> int:
        """The number of the process of a child that is ready."""
        child = self.supervisor.children[at]
        await self.until(lambda: bool(child.detail))
        assert child.pid is not None
        return child.pid


Scene = Callable[[Stage], Awaitable[None]]
Play = Callable[..., list[Any]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scene with a supervisor of these roles; what was logged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervisor_module, "GRACE_S", PATIENCE_S)

    async def run(scene: Scene, roles: tuple[Role, ...], beside: Role | None) -> None:
        stage = Stage(list(roles), beside)
        try:
            await scene(stage)
        finally:
            stage.task.cancel()
            await asyncio.wait([stage.task])

    def start(scene: Scene, *roles: Role, beside: Role | None = None) -> list[Any]:
        with capture_logs() as logged:
            asyncio.run(run(scene, roles, beside))
        return logged

    return start


def diary() -> list[str]:
    return Path("diary").read_text().splitlines()


def test_the_recorder_starts_first_and_stops_last(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        pids = [await stage.pid(at) for at in range(3)]
        assert stage.ready == [[f"node-0 {pids[1]}", f"node-1 {pids[2]}"]]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    logged = play(scene, role("recorder"), role("node-0"), role("node-1", index=1))
    lines = diary()
    assert lines[0] == "recorder starts as 0 of edge-1"
    assert sorted(lines[1:3]) == ["node-0 starts as 0 of edge-1", "node-1 starts as 1 of edge-1"]
    assert sorted(lines[3:7]) == ["node-0 drains 0.5", "node-0 ends", "node-1 drains 0.5", "node-1 ends"]
    assert lines[7:] == ["recorder drains 0.0", "recorder ends"]
    assert [event["event"] for event in logged] == ["process ready"] * 3 + ["stopping", "stopped"]


def test_the_one_beside_starts_after_the_nodes_and_stops_before_them(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        beside = stage.supervisor.beside
        assert beside is not None
        # Nobody waits for it, and what it says is not what people are told of nodes.
        assert len(stage.ready[0]) == 1
        await stage.until(lambda: bool(beside.detail))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0
        assert beside.pid is None

    play(scene, role("recorder"), role("node-0"), beside=role("admin"))
    lines = diary()
    assert lines[2] == "admin starts as 0 of edge-1"
    assert lines[3:5] == ["admin drains 0.0", "admin ends"]


@pytest.mark.parametrize("kind", ["fails", "crashes"])
def test_one_beside_that_cannot_start_ends_nothing_and_is_tried_again(play: Play, kind: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        beside = stage.supervisor.beside
        assert beside is not None
        await stage.until(lambda: beside.restarts >= 2)
        assert all(child.detail for child in stage.supervisor.children)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    logged = play(scene, role("recorder"), role("node-0"), beside=role("admin", kind))
    pauses = [one["restart_in_s"] for one in logged if one["event"] == "process not started"]
    assert pauses[:2] == [0.01, 0.02]


def test_one_beside_that_is_killed_is_started_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        beside = stage.supervisor.beside
        assert beside is not None
        await stage.until(lambda: bool(beside.detail))
        first = beside.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await stage.until(lambda: beside.restarts == 1 and bool(beside.detail))
        assert beside.pid != first
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    play(scene, role("recorder"), role("node-0"), beside=role("admin"))


def test_one_beside_is_told_no_password_of_a_database(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        beside = stage.supervisor.beside
        assert beside is not None
        machine = beside._begin.machine
        assert (machine.proxy_database, machine.system_database, machine.farm_key) == ("", "", "")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    play(scene, role("recorder"), role("node-0"), beside=role("admin"))


@pytest.mark.parametrize("at", [0, 1])
def test_a_child_that_is_killed_is_started_again_and_the_other_stays(play: Play, at: int) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        pids = [await stage.pid(0), await stage.pid(1)]
        os.kill(pids[at], signal.SIGKILL)
        await stage.until(lambda: stage.supervisor.children[at].restarts == 1)
        again = [await stage.pid(0), await stage.pid(1)]
        assert again[at] != pids[at]
        assert again[1 - at] == pids[1 - at]
        assert [child.restarts for child in stage.supervisor.children] == [1 - at, at]
        os.kill(os.getpid(), signal.SIGINT)
        assert await stage.end() == 0
        assert len(stage.ready) == 1

    logged = play(scene, role("recorder"), role("node-0"))
    ended = {"event": "process ended", "status": -9, "restart_in_s": 0.01, "log_level": "warning"}
    assert [event for event in logged if event["event"] == "process ended"] == [
        ended | {"child": ("recorder", "node-0")[at]}
    ]


def test_a_child_that_keeps_failing_is_tried_again_with_growing_pauses(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_S", 0.02)

    async def scene(stage: Stage) -> None:
        await stage.serving()
        os.kill(await stage.pid(1), signal.SIGKILL)
        await stage.until(lambda: stage.supervisor.children[1].restarts >= 3)
        Path("once").unlink()
        await stage.until(lambda: bool(stage.supervisor.children[1].detail))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    logged = play(scene, role("recorder"), role("node-0", "fails-later"))
    found = [(event["event"], event.get("reason"), event.get("restart_in_s")) for event in logged]
    assert found[:5] == [
        ("process ready", None, None),
        ("process ready", None, None),
        ("process ended", None, 0.01),
        ("process not started", "node-0 has no address", 0.02),
        ("process not started", "node-0 has no address", 0.02),
    ]
    assert found[-3:] == [("process ready", None, None), ("stopping", None, None), ("stopped", None, None)]


@pytest.mark.parametrize(
    ("roles", "line"),
    [
        ([role("recorder", "fails")], "oneproxy: recorder has no address\n"),
        ([role("recorder"), role("node-0", "fails"), role("node-1")], "oneproxy: node-0 has no address\n"),
        (
            [role("recorder"), role("node-0", "crashes")],
            "oneproxy: the node-0 ended with status 7 before it was ready; see above\n",
        ),
        (
            [Role("recorder", ("/none/python",))],
            "oneproxy: the recorder cannot be started: [Errno 2] No such file or directory: '/none/python'\n",
        ),
        (
            [Role("recorder", (sys.executable, "-c", "print('hello world, how are you')"))],
            "oneproxy: the recorder said what nobody understands: "
            "a frame of 1751477356 octets is above the maximum of 65536\n",
        ),
    ],
)
def test_what_cannot_start_at_first_ends_it_all_with_one_line(
    play: Play, roles: list[Role], line: str
) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.end() == 1
        assert stage.errors.getvalue() == line
        assert stage.ready == []

    play(scene, *roles)


def test_a_child_that_is_never_ready_ends_it_all(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "START_S", 1.0)

    async def scene(stage: Stage) -> None:
        assert await stage.end() == 1
        assert stage.errors.getvalue() == "oneproxy: the recorder was not ready after 1 s\n"

    play(scene, role("recorder", "slow"))


def test_a_signal_during_the_start_ends_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.until(lambda: stage.supervisor.children[0].pid is not None)
        os.kill(os.getpid(), signal.SIGINT)
        assert await stage.end() == 0
        assert (stage.ready, stage.errors.getvalue()) == ([], "")

    play(scene, role("recorder", "slow"), role("node-0"))


def test_a_node_that_does_not_drain_in_time_is_killed(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "GRACE_S", 0.0)

    async def scene(stage: Stage) -> None:
        await stage.serving()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    logged = play(scene, role("recorder"), role("node-0", "stubborn"))
    assert [(event["event"], event.get("child")) for event in logged[2:]] == [
        ("stopping", None),
        ("process killed", "node-0"),
        ("stopped", None),
    ]
    # It may have been killed before it wrote down that it drains.
    assert [line for line in diary()[2:] if line != "node-0 drains 0.5"] == [
        "recorder drains 0.0",
        "recorder ends",
    ]


def test_a_second_signal_ends_it_at_once(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.serving()
        os.kill(os.getpid(), signal.SIGINT)
        await stage.until(lambda: "node-0 drains 0.5" in diary())
        os.kill(os.getpid(), signal.SIGINT)
        assert await stage.end() == EXIT_INTERRUPTED

    play(scene, role("recorder"), role("node-0", "stubborn"))


def test_a_child_that_waits_to_be_started_again_is_stopped_too(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 60.0)

    async def scene(stage: Stage) -> None:
        await stage.serving()
        os.kill(await stage.pid(1), signal.SIGKILL)
        await stage.until(lambda: not stage.supervisor.children[1].detail)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await stage.end() == 0

    play(scene, role("recorder"), role("node-0"))
    assert diary()[-1] == "recorder ends"


SUPERVISOR = """
import sys
from oneproxy import logs, supervisor
from oneproxy.site.model import Configuration, Machine, Site
import msgspec
logs.configure("supervisor")
configuration = Configuration(msgspec.json.decode(sys.argv[1], type=Machine), Site({}, {}))
supervisor.RECORDER = msgspec.json.decode(sys.argv[2], type=supervisor.Role)
supervisor.node = lambda index: msgspec.json.decode(sys.argv[3], type=supervisor.Role)
sys.exit(supervisor.run(configuration, 0.5, lambda details, asked: print(*details, flush=True)))
"""


def running(directory: Path) -> subprocess.Popen[bytes]:
    """A supervisor as a process of its own, with its temporary files in `directory`."""
    import msgspec  # noqa: PLC0415

    arguments = [
        msgspec.json.encode(value).decode()
        for value in (CONFIGURATION.machine, role("recorder"), role("node"))
    ]
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        env=os.environ | {"TMPDIR": str(directory)},
    )


def pids(process: subprocess.Popen[bytes]) -> list[int]:
    """The process numbers of the nodes, which they tell when they are ready."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    return [int(word) for word in words[1::2]]


def gone(pid: int) -> bool:
    """Whether the process has ended, though nobody may have collected its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_run_starts_the_nodes_of_the_configuration_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert len(pids(process)) == 2
        (place,) = tmp_path.glob("oneproxy-[0-9]*")
        assert place.name.startswith(f"oneproxy-{process.pid}-")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["diary"]


def test_the_children_of_a_killed_supervisor_end_and_the_next_one_clears_up(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        nodes = pids(process)
        process.kill()
    until_now(lambda: all(map(gone, nodes)))
    assert len(list(tmp_path.glob("oneproxy-[0-9]*"))) == 1
    with running(tmp_path) as process:
        assert len(pids(process)) == 2
        (place,) = tmp_path.glob("oneproxy-[0-9]*")
        assert place.name.startswith(f"oneproxy-{process.pid}-")
        process.terminate()


def test_without_a_place_for_the_socket_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert supervisor_module.run(CONFIGURATION) == 1
    line = capsys.readouterr().err
    assert line.startswith(
        "oneproxy: no directory for the recorder's socket: [Errno 2] No such file or directory"
    )
    assert line.endswith("; set TMPDIR to one\n")
