"""Gateways that the site has by name are known by the addresses that the name leads to."""

from oneproxy.trunks.inbound import Peer, Peers
from oneproxy.trunks.whereabouts import EVERY_S, Found, Hop, Whereabouts

NOW = 1_800_000_000.0


class Names:
    """Name servers: what they say at once, and who waits for what they do not."""

    def __init__(self) -> None:
        self.known: dict[str, list[str] | None] = {}
        self.waiting: list[Found] = []
        self.asked = 0

    def find(self, _now: float, hop: Hop, found: Found) -> list[Hop] | None:
        self.asked += 1
        addresses = self.known.get(hop[1], [])
        if addresses is None:
            self.waiting.append(found)
            return None
        return [("UDP", address, 5060) for address in addresses]


def made(*hosts: str) -> tuple[Peers, Names, Whereabouts]:
    peers = Peers([Peer("p", f"g{at}", f"sip:{host}") for at, host in enumerate(hosts)])
    names = Names()
    return peers, names, Whereabouts(peers, names.find)


def test_a_name_is_asked_for_at_once_and_again_every_minute() -> None:
    peers, names, whereabouts = made("gw.example.net")
    names.known["gw.example.net"] = ["192.0.2.7"]
    whereabouts.expire(NOW)
    assert peers.find("192.0.2.7", 5060) is not None
    asked = names.asked
    whereabouts.expire(NOW + EVERY_S - 1)
    assert names.asked == asked
    names.known["gw.example.net"] = ["192.0.2.8"]
    whereabouts.expire(NOW + EVERY_S)
    assert peers.find("192.0.2.7", 5060) is None
    assert peers.find("192.0.2.8", 5060) is not None


def test_an_answer_may_come_later() -> None:
    peers, names, whereabouts = made("gw.example.net")
    names.known["gw.example.net"] = None
    whereabouts.expire(NOW)
    assert peers.find("192.0.2.7", 5060) is None
    names.waiting[0](NOW, [("UDP", "192.0.2.7", 5060)])
    assert peers.find("192.0.2.7", 5060) is not None


def test_while_name_servers_are_away_a_gateway_is_where_it_was() -> None:
    peers, names, whereabouts = made("gw.example.net")
    names.known["gw.example.net"] = ["192.0.2.7"]
    whereabouts.expire(NOW)
    names.known["gw.example.net"] = []
    whereabouts.expire(NOW + EVERY_S)
    assert peers.find("192.0.2.7", 5060) is not None


def test_a_changed_site_is_asked_about_at_once() -> None:
    peers, names, whereabouts = made("gw.example.net")
    names.known["other.example.net"] = ["192.0.2.9"]
    whereabouts.expire(NOW)
    peers.take([Peer("p", "g0", "sip:other.example.net")])
    whereabouts.take()
    whereabouts.expire(NOW + 1)
    assert peers.find("192.0.2.9", 5060) is not None


def test_an_answer_for_a_gateway_that_is_gone_is_nobodys() -> None:
    peers, names, whereabouts = made("gw.example.net")
    names.known["gw.example.net"] = None
    whereabouts.expire(NOW)
    peers.take([])
    whereabouts.take()
    whereabouts.expire(NOW + 1)
    names.waiting[0](NOW, [("UDP", "192.0.2.7", 5060)])
    assert peers.find("192.0.2.7", 5060) is None


def test_where_no_gateway_has_a_name_nothing_is_due() -> None:
    _, _, whereabouts = made("192.0.2.7")
    assert whereabouts.deadline() is None


def test_a_changed_site_makes_it_due_at_once() -> None:
    _, _, whereabouts = made("gw.example.net")
    told: list[float | None] = []
    whereabouts.on_sooner = lambda: told.append(whereabouts.deadline())
    whereabouts.expire(NOW)
    assert whereabouts.deadline() == NOW + EVERY_S
    whereabouts.take()
    assert told == [0.0]
