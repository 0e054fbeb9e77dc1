"""The admin process: serves the HTTP API, and asks the recorder for what it is asked.

It touches no database and no SIP. A client has a limited time for everything, and there is
room for a limited number of them.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from oneproxy import logs
from oneproxy.access.sources import source_of
from oneproxy.admin.app import make_app
from oneproxy.admin.asking import RecorderDesk
from oneproxy.ipc import child
from oneproxy.ipc.messages import Start
from oneproxy.site.model import Admin
from oneproxy.transport.credentials import Credentials, CredentialsError

#: Connections and requests at once; more are answered 503.
MAX_CONNECTIONS: Final = 200
#: Connections of one IPv4 address, or one IPv6 network of 64 bits; one more is closed at once. Idle ones
#: are connections too, and nobody must be able to keep all others out by them.
MAX_OF_SOURCE: Final = MAX_CONNECTIONS // 2
#: A connection on which no request is under way is closed after this long.
IDLE_S: Final = 15.0
#: Who takes nothing of what is written to him for this long is cut off.
UNREAD_S: Final = 60.0
#: How often it is looked whether certificates were renewed.
RENEW_CHECK_S: Final = 5.0
#: What is being answered has this long at the end.
GOOD_BYE_S: Final = 1.0
#: The largest head of a request.
MAX_HEAD: Final = 16 * 1024

log = structlog.get_logger()


class PatientProtocol(H11Protocol):
    """HTTP/1.1, where the head of a request has a limited time to come, its first octet included."""

    def connection_made(self, transport: Any) -> None:
        """Look after it from its first moment on."""
        super().connection_made(transport)
        #: Since when the head of a request is waited for; None: none has begun to come.
        self._since: float | None = self.loop.time()
        #: Octets that he has not taken yet, and since when they are as many.
        self._unread = 0
        self._unread_since = self._since
        self._looking = self.loop.call_later(IDLE_S, self._look)
        #: Who it is of.
        self.source = source_of(self.client[0]) if self.client else ""
        if sum(other.source == self.source for other in self._all()) > MAX_OF_SOURCE:
            transport.abort()

    def _all(self) -> "Iterator[PatientProtocol]":
        """All connections, this one too."""
        return (other for other in self.connections if isinstance(other, PatientProtocol))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some octets came."""
        if self._since is None:
            self._since = self.loop.time()
        super().data_received(data)
        if self._is_busy():
            self._since = None

    def _look(self) -> None:
        now = self.loop.time()
        if self._takes_nothing(now):
            # Closed in order he would stay for ever, and so would an answer that waits to be written.
            self.transport.abort()
            return
        if self._since is not None and now - self._since >= IDLE_S and not self._is_busy():
            self.transport.close()
        self._looking = self.loop.call_later(IDLE_S, self._look)

    def _takes_nothing(self, now: float) -> bool:
        """Whether something waits to be taken, and nothing of it was for too long."""
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread != self._unread:
            self._unread, self._unread_since = unread, now
        return unread > 0 and now - self._unread_since >= UNREAD_S

    def _is_busy(self) -> bool:
        """Whether a request is being answered; the wait for its body is limited elsewhere."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete


class Server(uvicorn.Server):
    """Ends when the supervisor says so, and by no signal.

    context: of the TLS that it speaks, on any connection that is made from then on; None for none.
    """

    context: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `ipc.child`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. uvicorn would give a client a minute for his part of a handshake."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        patience_s = None if self.context is None else IDLE_S
        self.servers = [
            await loop.create_server(
                self._protocol, sock=bound, ssl=self.context, ssl_handshake_timeout=patience_s
            )
            for bound in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        return PatientProtocol(self.config, self.server_state, self.lifespan.state)


def bind(admin: Admin) -> socket.socket:
    """The socket that is listened on. Raises OSError."""
    family = socket.AF_INET6 if ":" in admin.host else socket.AF_INET
    # By its name, or asyncio leaves TCP to wait with the second part of an answer: 40 ms for each.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((admin.host, admin.port))
        bound.listen(MAX_CONNECTIONS)
    except OSError:
        bound.close()
        raise
    return bound


def explain(admin: Admin, error: OSError) -> str:
    """Why it can't be listened there, and the way out, in one line."""
    ways = {
        errno.EADDRINUSE: "another program uses it; stop that program or choose another port",
        errno.EADDRNOTAVAIL: "this machine has no such address; choose one of its own",
        errno.EACCES: "this user may not use it; choose a port above 1023",
    }
    way = ways.get(error.errno or 0, error.strerror or "unknown error")
    return f"cannot listen on {place_of(admin)} for [admin]: {way}"


def place_of(admin: Admin) -> str:
    """Where it is served, as a URL has it."""
    return f"[{admin.host}]:{admin.port}" if ":" in admin.host else f"{admin.host}:{admin.port}"


def warn(admin: Admin) -> None:
    """Say what an operator may not have meant."""
    if not admin.tokens:
        log.warning(
            "nobody may use the HTTP API",
            reason="[admin] has no token",
            way_out="`oneproxy token NAME` makes one",
        )
    if not admin.certificate and not ip_address(admin.host).is_loopback:
        log.warning(
            "HTTP API without TLS",
            address=place_of(admin),
            consequence="tokens can be read on the way",
            way_out="`certificate` and `key` in [admin], or a loopback address",
        )


def context_of(credentials: Credentials) -> ssl.SSLContext:
    """What connections are accepted with: `credentials` as they are when one comes."""
    context = credentials.server

    def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Asked at the beginning of each handshake, be a name in it or not.
        connection.context = credentials.server

    context.sni_callback = renew
    return context


async def keep_fresh(credentials: Credentials) -> None:
    """Read the files again when they change, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(RENEW_CHECK_S)
        credentials.refresh(loop.time())


async def serve(
    start: Start, admin: Admin, bound: socket.socket, credentials: Credentials | None, parent: child.Parent
) -> None:
    """Serve until the supervisor says Stop."""
    loop = asyncio.get_running_loop()
    desk = RecorderDesk(start.endpoint, start.token, "admin")
    config = uvicorn.Config(
        make_app(desk, admin.tokens),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=int(IDLE_S),
        timeout_graceful_shutdown=int(GOOD_BYE_S),
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    server = Server(config)
    renewing = None
    if credentials is not None:
        server.context = context_of(credentials)
        renewing = asyncio.create_task(keep_fresh(credentials))

    def stop(_drain_s: float) -> None:
        server.should_exit = True

    parent.watch(loop, stop)
    desk.start()
    warn(admin)
    serving = asyncio.create_task(server.serve([bound]))
    parent.ready(f"{'https' if admin.certificate else 'http'} {place_of(admin)}")
    try:
        await serving
    finally:
        if renewing is not None:
            renewing.cancel()
        await desk.close()


def main() -> int:
    """The process; its exit status. 1: it could not start, and the supervisor knows why."""
    start, parent = child.meet()
    logs.configure("admin")
    admin = start.machine.admin
    assert admin is not None
    try:
        credentials = Credentials(admin.certificate, admin.key) if admin.certificate else None
        bound = bind(admin)
    except CredentialsError as error:
        parent.failed(f"cannot listen on {place_of(admin)} for [admin]: {error.reason}")
        return 1
    except OSError as error:
        parent.failed(explain(admin, error))
        return 1
    asyncio.run(serve(start, admin, bound, credentials, parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
