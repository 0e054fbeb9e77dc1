"""Asking name servers, through dnspython: one question, the servers in turn, one answer.

Loading dnspython takes 50 ms of CPU and more, so `answers` imports this when it is needed,
and beside the loop.
"""

import asyncio
import os
from asyncio import get_running_loop
from collections.abc import Iterable, Sequence
from typing import Final

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import structlog
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from oneproxy.transport.dns import Answer, Naptr, Question, Srv, is_name, usable_address

_log: Final = structlog.get_logger()

RESOLV_CONF: Final = "/etc/resolv.conf"
#: Once around the servers takes this for each that is silent; a datagram that was lost
#: gets a second try within the time that a question has.
_TRY_S: Final = 1.5
#: Records of a set that are kept: more are a mistake or an attack.
_RECORDS: Final = 64
_LOOK_EVERY_S: Final = 10.0

Server = tuple[str, int]


class NameServers:
    """The name servers of the site, or those of the system."""

    def __init__(self, servers: Sequence[Server]) -> None:
        """servers: IP address and port each; none for those of resolv.conf."""
        self._fixed = bool(servers)
        self._servers: list[Server] = list(servers)
        self._seen: tuple[int, int, int] | None = None
        self._look_at = 0.0
        #: Why the file could not be read, "" where it could.
        self._reason = ""
        #: The one that answered last is asked first, so that one that is down costs once.
        self._first = 0

    async def ask(self, question: Question, lifetime_s: float) -> tuple[Answer, int] | None:
        """The answer and for how many seconds it holds, unbounded; None where there is none.

        None after `lifetime_s`, or as soon as each server has said that it does not know.
        """
        self._look()
        query = dns.message.make_query(question.name, question.kind)
        try:
            async with asyncio.timeout(lifetime_s):
                while self._servers:
                    silent = False
                    for server in self._in_turn():
                        try:
                            response = await _exchange(query, server)
                        except (TimeoutError, dns.exception.Timeout):
                            silent = True
                            continue
                        answer = None if response is None else _read(response)
                        if answer is not None:
                            self._prefer(server)
                            return answer
                    if not silent:
                        break
        except TimeoutError:
            pass
        return None

    def _prefer(self, server: Server) -> None:
        if server in self._servers:
            self._first = self._servers.index(server)

    def _in_turn(self) -> list[Server]:
        return self._servers[self._first :] + self._servers[: self._first]

    def _look(self) -> None:
        """Read resolv.conf again where it changed, as an address from DHCP makes it do."""
        now = get_running_loop().time()
        if self._fixed or now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        try:
            status = os.stat(RESOLV_CONF)
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen == self._seen:
                return
            system = dns.resolver.Resolver(configure=False)
            with open(RESOLV_CONF, encoding="utf-8", errors="replace") as file:
                system.read_resolv_conf(file)
        except FileNotFoundError as error:
            self._fail(str(error))
            self._servers = []
            self._seen = None
        except (ValueError, dns.exception.DNSException) as error:
            self._fail(str(error))
            self._servers = []
            self._seen = seen
        except OSError as error:
            # It may be but we that can't read it, as where no more files may be open: those
            # that were known serve on, and it is tried again.
            self._fail(str(error))
            return
        else:
            self._servers = [(str(one), system.port) for one in system.nameservers]
            self._seen = seen
            self._reason = ""
        self._first = 0

    def _fail(self, reason: str) -> None:
        """Log it, once for each reason."""
        if reason != self._reason:
            self._reason = reason
            _log.warning("no name servers", file=RESOLV_CONF, error=reason)


async def _exchange(query: dns.message.QueryMessage, server: Server) -> dns.message.Message | None:
    """What the server said; None for no way to it, or garbage over TCP.

    Raises TimeoutError or dnspython's Timeout where it is silent. Over UDP, what does not
    parse or does not belong to the query is passed over: anybody can send it. RFC 7766 5:
    a truncated answer is asked for again over TCP.
    """
    try:
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, server[0], port=server[1], timeout=_TRY_S, ignore_unexpected=True, ignore_errors=True
        )
    except (TimeoutError, dns.exception.Timeout):
        raise
    except (OSError, EOFError, dns.exception.DNSException):
        return None
    return response


def _read(response: dns.message.Message) -> tuple[Answer, int] | None:
    """The records that the response leads to, CNAMEs followed, and their time to live.

    Without records that of RFC 2308 5: the lower of the SOA's own and of its minimum.
    None where it says nothing about the name: SERVFAIL, REFUSED.
    """
    if not isinstance(response, dns.message.QueryMessage):
        return None
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    try:
        chain = response.resolve_chaining()
    except dns.exception.DNSException:
        return None
    return _records(chain.answer or ()), chain.minimum_ttl


def _records(found: Iterable[object]) -> Answer:
    addresses: list[str] = []
    servers: list[Srv] = []
    services: list[Naptr] = []
    for record in found:
        match record:
            case A() | AAAA():
                if usable_address(record.address):
                    addresses.append(record.address)
            case SRV():
                target = _name(record.target.to_text(omit_final_dot=True))
                # A target that is no name is as good as none, but does not say that the
                # service is not there: only "." does.
                if is_name(target) or usable_address(target) or target == "":
                    servers.append(Srv(record.priority, record.weight, record.port, target))
            case NAPTR():
                services.append(
                    Naptr(
                        record.order,
                        record.preference,
                        record.flags.decode("latin-1").lower(),
                        record.service.decode("latin-1").upper(),
                        record.regexp.decode("latin-1"),
                        _name(record.replacement.to_text(omit_final_dot=True)),
                    )
                )
            case _:
                pass
    return Answer(
        tuple(addresses[:_RECORDS]), tuple(sorted(servers)[:_RECORDS]), tuple(sorted(services)[:_RECORDS])
    )


def _name(written: str) -> str:
    """A name as in a question; the root, which dnspython writes ".", is ""."""
    return "" if written in (".", "@") else written.lower()
