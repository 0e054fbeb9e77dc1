"""The node's part that keeps its gateways known: registered at, probed, and found by name."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import structlog

from oneproxy.engine.core import Engine
from oneproxy.engine.flow import Listener
from oneproxy.engine.routing import hop_of
from oneproxy.sip.uri import escape_user, unescape
from oneproxy.site.model import Machine, Site
from oneproxy.transport.alarm import Alarm
from oneproxy.transport.driver import Driver
from oneproxy.trunks.probes import Probes
from oneproxy.trunks.registration import Standing
from oneproxy.trunks.registration_states import State
from oneproxy.trunks.registrations import Registrations
from oneproxy.trunks.step import TrunkStep
from oneproxy.trunks.whereabouts import Find, Whereabouts

log: Final = structlog.get_logger()


class TrunkWork:
    """All that is done for gateways beside calls."""

    def __init__(
        self,
        machine: Machine,
        index: int,
        secret: bytes,
        step: TrunkStep,
        engine: Engine,
        listeners: Sequence[Listener],
        driver: Driver,
        find: Find,
    ) -> None:
        """index: of the node on this machine. secret: the farm's. find: as `transport.names.Names.find`."""
        random = Random()

        def contact_of(uri: str, user: str) -> str:
            return contact(listeners, uri, user)

        self._step = step
        send = engine.originate
        self.registrations = Registrations(
            f"{machine.name}-{index}", secret, step.trunks, send, contact_of, random
        )
        self.registrations.on_told = _tell
        self._probes = Probes(step.trunks, send, contact_of, random)
        self._whereabouts = Whereabouts(step.peers, find)
        self._driver = driver
        self._alarm: Alarm | None = None

    def calls_of(self, provider: str) -> int:
        """How many calls a provider of the site has."""
        state = self._step.trunks.find(provider)
        return 0 if state is None else len(state.held)

    def start(self, site: Site) -> None:
        """Begin; the driver is started."""
        self.take(site)
        sleepers = (self.registrations, self._probes, self._whereabouts)
        self._alarm = Alarm(self._driver, asyncio.get_running_loop(), sleepers)

    def take(self, site: Site) -> None:
        """The site has changed, and the steps know it."""
        now = self._driver.now()
        self.registrations.take(now, site)
        self._probes.take(now, site)
        self._whereabouts.take()

    def stop(self) -> None:
        """Do nothing any more. What is registered stays so: the next start goes on with it."""
        if self._alarm is not None:
            self._alarm.stop()


def contact(listeners: Sequence[Listener], uri: str, user: str) -> str:
    """The URI under which a gateway reaches a user here: by the listener that requests to it leave from."""
    hop = hop_of(uri)
    transport = "UDP" if hop is None or hop[0] == "" else hop[0]
    if transport == "SIPS":
        transport = "TLS"
    is_ipv6 = hop is not None and ":" in hop[1]
    fitting = [one for one in listeners if one.transport == transport] or list(listeners)
    one = next((one for one in fitting if (":" in one.host) == is_ipv6), fitting[0])
    scheme = "sips" if uri[:5].lower() == "sips:" else "sip"
    named = "" if transport == "UDP" or scheme == "sips" else f";transport={one.transport.lower()}"
    at = f"{escape_user(unescape(user))}@" if user else ""
    return f"{scheme}:{at}{one.sent_by}{named}"


def _tell(provider: str, gateway: str, standing: Standing) -> None:
    """A registration stands otherwise than before."""
    what = {
        "provider": provider,
        "gateway": gateway,
        "status": standing.status,
        "reason": standing.reason[:128],
    }
    if standing.state is State.REGISTERED:
        log.info("registered", **what)
    else:
        log.warning("not registered", **what, error=standing.error, failures=standing.failures)
