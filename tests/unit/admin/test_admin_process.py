"""The admin process: what it says of its address, and clients that are slow, over a real socket."""

import asyncio
import contextlib
import errno
import shutil
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from certificates import Authority, Issued
from office import MemoryDesk, sample_entries, tokens
from oneproxy.admin import process
from oneproxy.admin.app import make_app
from oneproxy.admin.limits import Limits
from oneproxy.site.model import Admin
from oneproxy.transport.credentials import Credentials


def test_a_port_that_cannot_be_used_is_explained_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = Admin("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use") as caught:
            process.bind(admin)
        assert process.explain(admin, caught.value) == (
            f"cannot listen on 127.0.0.1:{admin.port} for [admin]: another program uses it; "
            "stop that program or choose another port"
        )
    foreign = Admin("2001:db8::1", 8080)
    assert process.explain(foreign, OSError(errno.EADDRNOTAVAIL, "x")).startswith(
        "cannot listen on [2001:db8::1]:8080 for [admin]: this machine has no such address"
    )


@pytest.mark.parametrize(
    ("admin", "events"),
    [
        (Admin("127.0.0.1", 8080, tuple(tokens())), []),
        (Admin("::1", 8080, tuple(tokens())), []),
        (Admin("127.0.0.1", 8080), ["nobody may use the HTTP API"]),
        (Admin("0.0.0.0", 8080, tuple(tokens())), ["HTTP API without TLS"]),
        (Admin("0.0.0.0", 8080, tuple(tokens()), "cert.pem", "key.pem"), []),
        (Admin("192.0.2.1", 8080), ["nobody may use the HTTP API", "HTTP API without TLS"]),
    ],
)
def test_what_an_operator_may_not_have_meant_is_warned_of(admin: Admin, events: list[str]) -> None:
    with capture_logs() as logged:
        process.warn(admin)
    assert [one["event"] for one in logged] == events
    assert all(one["log_level"] == "warning" and one["way_out"] for one in logged)


Scene = Callable[[int], Awaitable[None]]


def over_http(scene: Scene, app: ASGIApp | None = None, credentials: Credentials | None = None) -> None:
    """Run a scene with the API at a port, or with what is there in its place; with TLS where there
    are credentials."""

    async def run() -> None:
        bound = process.bind(Admin("127.0.0.1", 0))
        config = uvicorn.Config(
            app or make_app(MemoryDesk(sample_entries()), tokens()),
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = process.Server(config)
        if credentials is not None:
            server.context = process.context_of(credentials)
        serving = asyncio.create_task(server.serve([bound]))
        try:
            await scene(bound.getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    asyncio.run(run())


async def exchange(port: int, *parts: bytes) -> bytes:
    """What comes back until the connection ends. Between the parts the other side has its turn."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "begun", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a head"]
)
def test_a_connection_on_which_no_request_comes_is_closed(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.02)

    async def scene(port: int) -> None:
        assert await exchange(port, begun) == b""

    over_http(scene)


def test_one_address_leaves_room_for_others_however_many_connections_it_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "MAX_OF_SOURCE", 2)
    question = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def scene(port: int) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        others, other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        other.write(question)
        assert (await asyncio.wait_for(others.read(), 10)).startswith(b"HTTP/1.1 200 OK\r\n")
        other.close()
        for reader, writer in idle:
            # What was there before goes on.
            writer.write(question)
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()

    over_http(scene)


def test_half_a_second_request_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.05)

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b'{"status":"alive"}'), 10)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"GET /livez HTT")
        assert await asyncio.wait_for(reader.read(), 4) == b""
        writer.close()

    over_http(scene)


def test_a_second_part_of_an_answer_does_not_wait_for_the_first_to_be_acknowledged() -> None:
    with contextlib.closing(process.bind(Admin("127.0.0.1", 0))) as bound:
        port = bound.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = bound.accept()
            # What asyncio asks before it sets TCP_NODELAY.
            assert accepted.proto == socket.IPPROTO_TCP
            accepted.close()


def test_what_is_no_http_is_refused_and_a_large_head_too() -> None:
    async def scene(port: int) -> None:
        assert (await exchange(port, b"REGISTER sip:x SIP/2.0\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        head = b"GET /livez HTTP/1.1\r\nX: " + b"a" * 100_000
        assert (await exchange(port, head)).startswith(b"HTTP/1.1 4")

    over_http(scene)


#: More than all buffers on the way hold, those of the system included.
MUCH = b"a" * 16_000_000


async def one_part(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An answer that is done with once it is written, so that the next one is begun."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": MUCH})


async def two_parts(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An answer whose second part waits until the first is taken."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": MUCH, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("questions", [1, 2])
@pytest.mark.parametrize("app", [one_part, two_parts])
def test_who_reads_no_answers_keeps_no_connection(
    app: ASGIApp, questions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed in order it would wait for him for ever, and two hundred of him would shut out all others."""
    monkeypatch.setattr(process, "IDLE_S", 0.02)
    monkeypatch.setattr(process, "UNREAD_S", 0.05)
    lost = asyncio.Event()
    before = process.PatientProtocol.connection_lost

    def connection_lost(self: process.PatientProtocol, error: Exception | None) -> None:
        before(self, error)
        lost.set()

    monkeypatch.setattr(process.PatientProtocol, "connection_lost", connection_lost)

    async def scene(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as greedy:
            greedy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * questions)
            await asyncio.wait_for(lost.wait(), 60)

    over_http(scene, Limits(app, request_s=0.05))


def test_who_takes_his_answer_slowly_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes some of it is not who takes nothing."""
    monkeypatch.setattr(process, "IDLE_S", 0.001)

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        came = b""
        while part := await asyncio.wait_for(reader.read(100_000), 60):
            came += part
            await asyncio.sleep(0)
        assert came.count(b"a") >= len(MUCH)
        writer.close()

    over_http(scene, one_part)


async def asked_over_tls(port: int, context: ssl.SSLContext) -> tuple[bytes, str]:
    """The status line of an answer, and whose certificate was shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    [[[_, name]]] = writer.get_extra_info("peercert")["subject"]
    writer.close()
    return answer.partition(b"\r\n")[0], name


def test_with_a_certificate_it_speaks_tls_and_shows_the_one_that_was_renewed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    first, second = (authority.issue(one, addresses=["127.0.0.1"]) for one in ("first", "second"))
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")

    def put(issued: Issued) -> None:
        for source, to in zip(issued, files, strict=True):
            shutil.copy(source, to)

    put(first)
    credentials = Credentials(*files)
    client = ssl.create_default_context(cafile=authority.path)

    async def scene(port: int) -> None:
        assert await asked_over_tls(port, client) == (b"HTTP/1.1 200 OK", "first")
        put(second)
        assert credentials.refresh(1.0)
        assert await asked_over_tls(port, client) == (b"HTTP/1.1 200 OK", "second")
        # What comes without TLS is told nothing.
        assert b"alive" not in await exchange(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")

    over_http(scene, credentials=credentials)


def test_who_begins_no_handshake_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.05)
    issued = Authority(tmp_path).issue("api", addresses=["127.0.0.1"])

    async def scene(port: int) -> None:
        assert await exchange(port, b"") == b""

    over_http(scene, credentials=Credentials(*issued))


def test_certificates_are_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "RENEW_CHECK_S", 0.0)
    looked: list[float] = []

    class Files:
        def refresh(self, now: float) -> bool:
            looked.append(now)
            return False

    async def scene() -> None:
        renewing = asyncio.create_task(process.keep_fresh(Files()))  # type: ignore[arg-type]
        while len(looked) < 3:
            await asyncio.sleep(0)
        renewing.cancel()
        await asyncio.wait([renewing])

    asyncio.run(scene())
    assert looked == sorted(looked)
