"""The listeners of a node: bound to their addresses, or why they can't be."""

import errno
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

import structlog

from oneproxy.sip.host import parse_hostport
from oneproxy.site.model import Listen
from oneproxy.transport.address import WILDCARDS, local_addresses
from oneproxy.transport.codec import Codec, StreamCodec
from oneproxy.transport.connections import Connections
from oneproxy.transport.credentials import Credentials, CredentialsError
from oneproxy.transport.flows import AnyListener
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import UdpListener

log: Final = structlog.get_logger()


def bind_all(listens: Sequence[Listen], connections: Connections) -> list[AnyListener]:
    """The listeners of all [[listen]]; as `bind`, and none stays bound where one can't be."""
    listeners: list[AnyListener] = []
    for listen in listens:
        try:
            listeners.append(bind(listen, connections))
        except OSError:
            for listener in listeners:
                listener.close()
            raise
    return listeners


def bind(listen: Listen, connections: Connections) -> AnyListener:
    """The listener of one [[listen]]; the OSError names it in `filename`."""
    transport = listen.transport.upper()
    place = (listen.host, listen.port, listen.advertise, listen.advertise_port)
    try:
        if transport == "UDP":
            return UdpListener(*place)
        credentials = None
        if transport in ("TLS", "WSS"):
            credentials = Credentials(listen.certificate, listen.key, listen.client_ca)
        codec: Callable[[], Codec] = StreamCodec
        if transport in ("WS", "WSS"):
            # The library takes a tenth of a second to load, and most nodes need none of it.
            from oneproxy.transport.websocket import WebSocketCodec

            codec = WebSocketCodec
        return StreamListener(transport, *place, connections, credentials, codec)
    except OSError as error:
        error.filename = f"{listen.transport} {listen.host}:{listen.port}"
        raise


def other_addresses(listeners: Sequence[AnyListener]) -> list[tuple[str, int, bool]]:
    """Where listeners are reached besides what they tell others: host, port, whether for connections.

    One that is bound to all addresses is reached at each of them.
    """
    found: list[tuple[str, int, bool]] = []
    for listener in listeners:
        port: int = listener.socket.getsockname()[1]
        hosts = local_addresses(listener.ipv6) if listener.address in WILDCARDS else [listener.address]
        found += [(host, port, listener.reliable) for host in hosts]
    return found


def warn_of_choice(listener: AnyListener) -> None:
    """Say so where answers to datagrams may leave from another address than was asked."""
    if listener.transport != "UDP" or listener.address not in WILDCARDS:
        return
    addresses = [ip_address(one) for one in local_addresses(listener.ipv6)]
    outward = [str(one) for one in addresses if not one.is_loopback and not one.is_link_local]
    if len(outward) > 1:
        log.warning(
            "answers may leave from another address",
            listen=f"udp {listener.address}",
            addresses=outward,
            way_out="one [[listen]] for each address that is in use",
        )


def name_servers(written: Sequence[str]) -> list[tuple[str, int]]:
    """Addresses and ports of [dns] servers."""
    places = [parse_hostport(one) for one in written]
    return [(place[0], place[1] or 53) for place in places if place is not None]


def explain(error: OSError) -> str:
    """Why a listener could not be bound, and the way out, in one line."""
    if isinstance(error, CredentialsError):
        return f"cannot listen on {error.filename}: {error.reason}"
    ways = {
        errno.EADDRINUSE: "another program uses it; stop that program or choose another port",
        errno.EADDRNOTAVAIL: "this machine has no such address; choose one of its own or 0.0.0.0",
        errno.EACCES: "this user may not use it; choose a port above 1023",
    }
    way = ways.get(error.errno or 0, error.strerror or "unknown error")
    return f"cannot listen on {error.filename}: {way}"


def make_room_for_files(connections: int) -> None:
    """Let the process have as many open sockets as it may need, if the system does."""
    if sys.platform == "win32":
        return
    import resource

    # Those that come, as many that we open, and what a process has besides.
    wanted = 2 * connections + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        log.warning("fewer open files allowed than connections", allowed=hard, wanted=wanted)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
