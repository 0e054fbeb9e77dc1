"""What the tables of this machine must agree on: addresses to listen on, tokens of the HTTP API."""

from collections.abc import Iterator
from typing import Any

from oneproxy.site import texts
from oneproxy.site.agreement import repeats
from oneproxy.site.certificates import SECURE
from oneproxy.site.mistake import found_text
from oneproxy.site.tables import Fault, Tables


def check_listens(tables: Tables) -> Iterator[Fault]:
    """Addresses that exclude each other, and files that a transport has no use for."""
    # TCP, TLS, WS and WSS all take a TCP port; UDP has ports of its own.
    yield from repeats(
        tables,
        "listen",
        "address",
        _bound,
        "transport",
    )
    yield from _swallowed(tables)
    for index, listen in tables.listen.items():
        if not tables.sound("listen", index, "transport") or listen.transport in SECURE:
            continue
        for key in ("certificate", "key", "client_ca"):
            if getattr(listen, key, None) is not None:
                found = f'{key} with the transport "{listen.transport}"'
                yield Fault(("listen", index, key), found, f'{key} with "tls" and "wss" only')


def _bound(listen: Any) -> tuple[bool, str, int | None]:
    """What two of them may not share: kind of port, address, port."""
    return (listen.transport == "udp", *texts.same_place(listen.address))


def _swallowed(tables: Tables) -> Iterator[Fault]:
    """Addresses whose port another [[listen]] has on all addresses of the machine."""
    bound = {
        index: _bound(listen)
        for index, listen in tables.listen.items()
        if tables.sound("listen", index, "address", "transport")
    }
    for index, (datagrams, host, port) in bound.items():
        wildcard = "::" if ":" in host else "0.0.0.0"
        for other, place in bound.items():
            if host != wildcard and place == (datagrams, wildcard, port):
                written = found_text(("listen", index, "address"), tables.listen[index].address)
                yield Fault(
                    ("listen", index, "address"),
                    f"{written} beside all addresses",
                    f"one of both; listen[{other + 1}] has this port on every address",
                )
                break


def check_tokens(tables: Tables) -> Iterator[Fault]:
    """Tokens of one name."""
    seen: set[str] = set()
    for place, token in enumerate(tables.admin.token):
        if token.name in seen:
            yield Fault(("admin", "token", place, "name"), f'"{token.name}" again', "each name once")
        seen.add(token.name)
