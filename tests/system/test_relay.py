"""Nobody gets a request relayed from outside of a dialog, whatever he writes into Route, and from
inside of one to nobody but its other side.

Nothing is authenticated here, so that no challenge stands before what is to be shown. The
third host is one that nobody registered; it listens, and must never hear anything.
"""

import contextlib
import itertools
import re
import secrets
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from ports import free_port
from system.agents.agent import Agent
from system.agents.call import Call, establish, exchange, hang_up
from system.agents.channel import Channel, connect
from system.agents.dialog import Dialog
from system.agents.message import Headers, Message, address_uri
from system.agents.place import Place
from system.server import DOMAIN, Server
from waiting import PATIENCE_S

METHODS = ["OPTIONS", "INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "UNHEARDOF"]
IN_DIALOG_METHODS = ["BYE", "INVITE", "INFO", "UPDATE", "ACK", "PRACK", "CANCEL", "NOTIFY"]
TRANSPORTS = ["UDP", "TCP"]
NUMBERS = itertools.count()


class Third:
    """A host that is to be left alone, on UDP and on TCP at one port."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.port = free_port(host)
        self._tcp = socket.create_server((host, self.port))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((host, self.port))
        self.place = Place("UDP", host, self.port)

    def heard(self, within_s: float) -> bool:
        """Whether anything came, be it a connection without a word."""
        return bool(select.select([self._udp, self._tcp], [], [], within_s)[0])

    def close(self) -> None:
        self._udp.close()
        self._tcp.close()


@pytest.fixture(scope="module")
def third() -> Iterator[Third]:
    with contextlib.closing(Third()) as made:
        yield made
        # Whatever a timer may have kept back.
        assert not made.heard(0.5)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Third]:
    """A third host at another address than all others, which a dialog is told by."""
    with contextlib.closing(Third("127.0.0.3")) as made:
        yield made
        assert not made.heard(0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    subscribers = dict.fromkeys(["alice", "bob"], "secret")
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, subscribers=subscribers, transports=["TCP"]) as running:
        yield running


@pytest.fixture(scope="module")
def call(server: Server) -> Iterator[Call]:
    """A call that is up, whose routes are there to be stolen."""
    place = server.places["UDP"]
    alice, bob = Agent(connect(place), "alice", DOMAIN), Agent(connect(place), "bob", DOMAIN)
    with contextlib.closing(alice), contextlib.closing(bob):
        for agent in (alice, bob):
            assert agent.register().status == 200
        made = establish(alice, bob)
        yield made
        # It went on all the while, and ends as calls do.
        exchange(made.callee, made.caller, "INFO", "still here")
        hang_up(made.caller, made.callee)


@pytest.fixture(params=TRANSPORTS)
def channel(request: pytest.FixtureRequest, server: Server) -> Iterator[Channel]:
    with contextlib.closing(connect(server.places[request.param])) as made:
        yield made


def forged(
    channel: Channel, method: str, uri: str, routes: list[str], identity: Headers | None = None
) -> Message:
    """A request with these Routes; identity: From, To and Call-ID, made up where left out."""
    transport = channel.remote.transport
    made_up = [
        ("From", f"<sip:eve@{DOMAIN}>;tag={secrets.token_hex(4)}"),
        ("To", f"<sip:bob@{DOMAIN}>"),
        ("Call-ID", secrets.token_hex(8)),
    ]
    headers = [
        ("Via", f"SIP/2.0/{transport} {channel.sent_by};branch=z9hG4bK{secrets.token_hex(8)}"),
        ("Max-Forwards", "70"),
        *[("Route", route) for route in routes],
        *(identity or made_up),
        ("CSeq", f"{7000 + next(NUMBERS)} {method}"),
        ("Contact", f"<sip:eve@{channel.sent_by};transport={transport.lower()}>"),
    ]
    return Message(f"{method} {uri} SIP/2.0", headers)


def final_status(channel: Channel, request: Message) -> int | None:
    """Send it; the status of the final response, None where there is none."""
    channel.send(request.write())
    if request.method == "ACK":
        return None
    while (data := channel.receive(PATIENCE_S)) is not None:
        response = Message.read(data)
        if response.status >= 200:
            return response.status
    return None


def assert_not_relayed(channel: Channel, third: Third, request: Message) -> None:
    """The third host hears nothing, and who sent the request is refused."""
    status = final_status(channel, request)
    assert request.method == "ACK" or (status is not None and status >= 300), (status, request)
    assert not third.heard(0.005)


Routes = Callable[[str, str], list[str]]
PRELOADED: dict[str, Routes] = {
    "none": lambda _ours, _third: [],
    "third": lambda _ours, third: [f"<sip:{third};lr>"],
    "third strict": lambda _ours, third: [f"<sip:{third}>"],
    "ours": lambda ours, _third: [f"<{ours};lr>"],
    "ours then third": lambda ours, third: [f"<{ours};lr>", f"<sip:{third};lr>"],
    "both in one line": lambda ours, third: [f"<{ours};lr>, <sip:{third};lr>"],
    "ours twice then third": lambda ours, third: [f"<{ours};lr>", f"<{ours};lr>", f"<sip:{third};lr>"],
    "domain then third": lambda _ours, third: [f"<sip:{DOMAIN};lr>", f"<sip:{third};lr>"],
    "made-up mark": lambda ours, third: [f"<{ours};lr;mark=0123456789abcdef>", f"<sip:{third};lr>"],
    "empty mark": lambda ours, third: [f"<{ours};lr;mark=>", f"<sip:{third};lr>"],
    "mark without value": lambda ours, third: [f"<{ours};lr;mark>", f"<sip:{third};lr>"],
    "mark of odd octets": lambda ours, third: [f"<{ours};lr;mark=%ff%00\u00e9>", f"<sip:{third};lr>"],
    "endless mark": lambda ours, third: [f"<{ours};lr;mark={'a' * 5000}>", f"<sip:{third};lr>"],
}


@pytest.mark.parametrize("routes", PRELOADED.values(), ids=PRELOADED.keys())
@pytest.mark.parametrize("method", METHODS)
def test_a_preloaded_route_relays_nothing(
    channel: Channel, server: Server, third: Third, method: str, routes: Routes
) -> None:
    ours = f"sip:{channel.remote.address};transport={channel.remote.transport.lower()}"
    request = forged(channel, method, f"sip:victim@{third.place.address}", routes(ours, third.place.address))
    assert_not_relayed(channel, third, request)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_preloaded_route_behind_a_user_that_is_registered_relays_nothing(
    channel: Channel, third: Third, call: Call, method: str
) -> None:
    routes = [f"<sip:{channel.remote.address};lr>", f"<sip:{third.place.address};lr>"]
    request = forged(channel, method, call.callee.agent.aor, routes)
    assert_not_relayed(channel, third, request)


#: What a thief makes of a Record-Route that he has seen.
TAMPERED: dict[str, Callable[[str], str]] = {
    "as it was": lambda route: route,
    "without parameters of ours": lambda route: re.sub(r";lr.*>", ";lr>", route),
    "without its last octet": lambda route: route[:-2] + ">",
    "with one octet more": lambda route: route[:-1] + "0>",
    "in capitals": lambda route: re.sub(r";lr.*>", lambda found: found[0].upper(), route),
    "digits turned": lambda route: re.sub(
        r"(?<=;lr).*>", lambda found: found[0].translate(str.maketrans("0123456789", "1234567890")), route
    ),
    "twice over": lambda route: route.replace(">", re.sub(r".*;lr", "", route)),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED.keys())
@pytest.mark.parametrize("method", IN_DIALOG_METHODS)
def test_a_stolen_mark_is_worth_nothing_in_another_dialog(
    channel: Channel, third: Third, call: Call, method: str, tampered: Callable[[str], str]
) -> None:
    stolen = tampered(call.caller.routes[0])
    identity = [
        ("From", f"<sip:eve@{DOMAIN}>;tag={secrets.token_hex(4)}"),
        ("To", f"<sip:bob@{DOMAIN}>;tag={secrets.token_hex(4)}"),
        ("Call-ID", secrets.token_hex(8)),
    ]
    for routes in ([stolen], [stolen, f"<sip:{third.place.address};lr>"]):
        request = forged(channel, method, f"sip:victim@{third.place.address}", routes, identity)
        assert_not_relayed(channel, third, request)


OTHER_IDENTITIES: dict[str, Callable[[Headers], Headers]] = {
    "another Call-ID": lambda headers: [*headers[:2], ("Call-ID", secrets.token_hex(8))],
    "other tags": lambda headers: [(name, re.sub(";tag=.*", ";tag=other", value)) for name, value in headers],
    "no tag in To": lambda headers: [
        headers[0],
        (headers[1][0], headers[1][1].partition(";tag")[0]),
        headers[2],
    ],
}


@pytest.mark.parametrize("changed", OTHER_IDENTITIES.values(), ids=OTHER_IDENTITIES.keys())
@pytest.mark.parametrize("method", IN_DIALOG_METHODS)
def test_a_mark_holds_for_the_whole_identity_of_its_dialog(
    channel: Channel, third: Third, call: Call, method: str, changed: Callable[[Headers], Headers]
) -> None:
    seen = call.caller.request(method, 1)
    identity = changed([(name, seen.one(name)) for name in ("From", "To", "Call-ID")])
    assert address_uri(call.caller.routes[0]).startswith("sip:")
    request = forged(channel, method, f"sip:victim@{third.place.address}", call.caller.routes, identity)
    assert_not_relayed(channel, third, request)


#: What who is in a call makes of its request: where to, and with which Routes.
LEADING_AWAY: dict[str, Callable[[Dialog, str], tuple[str, list[str]]]] = {
    "request-uri": lambda side, third: (f"sip:victim@{third}", side.routes),
    "request-uri over TCP": lambda side, third: (f"sip:victim@{third};transport=tcp", side.routes),
    "route": lambda side, third: (target(side), [*side.routes, f"<sip:{third};lr>"]),
    "strict route": lambda side, third: (target(side), [*side.routes, f"<sip:{third}>"]),
    "both in one line": lambda side, third: (target(side), [f"{', '.join(side.routes)}, <sip:{third};lr>"]),
    "as a strict router": lambda side, third: (address_uri(side.routes[0]), [f"<sip:victim@{third}>"]),
}


def target(side: Dialog) -> str:
    """Where the requests of a side go."""
    return side.request("OPTIONS", 1).uri


@pytest.mark.parametrize("leads", LEADING_AWAY.values(), ids=LEADING_AWAY.keys())
@pytest.mark.parametrize("is_caller", [True, False], ids=["caller", "callee"])
@pytest.mark.parametrize("method", [*IN_DIALOG_METHODS, "MESSAGE", "REFER", "OPTIONS", "UNHEARDOF"])
def test_who_is_in_a_call_sends_nothing_elsewhere_by_it(
    channel: Channel,
    elsewhere: Third,
    call: Call,
    method: str,
    is_caller: bool,
    leads: Callable[[Dialog, str], tuple[str, list[str]]],
) -> None:
    side = call.caller if is_caller else call.callee
    identity = [(name, side.request(method, 1).one(name)) for name in ("From", "To", "Call-ID")]
    uri, routes = leads(side, elsewhere.place.address)
    assert_not_relayed(channel, elsewhere, forged(channel, method, uri, routes, identity))
