"""RFC 3261 10.3 and RFC 5626 5.3 where two machines share a database, and a phone goes to the other."""

from collections.abc import Iterator

import pytest

from registering import Registering

PAGE = "Contact: <sip:alice@x.invalid;transport=ws>"
OUTBOUND = 'Contact: <sip:alice@192.168.1.5;transport=tcp>;+sip.instance="<urn:uuid:1>";reg-id=1'


@pytest.fixture
def machines(database_url: str) -> Iterator[tuple[Registering, Registering]]:
    one, other = Registering(database_url), Registering(database_url)
    yield one, other
    one.end()
    other.end()


@pytest.mark.parametrize("call_id", ["reg-1", "begun-anew"])
@pytest.mark.parametrize(
    ("transport", "headers"), [("WSS", (PAGE,)), ("TCP", (OUTBOUND, "Supported: outbound"))]
)
def test_a_flow_that_closes_takes_nothing_that_its_phone_has_registered_elsewhere_since(
    machines: tuple[Registering, Registering], transport: str, headers: tuple[str, ...], call_id: str
) -> None:
    one, other = machines
    flow = one.connect(transport, 1)
    assert one.register(*headers, flow=flow).status == 200
    moved = other.connect(transport, 2)
    assert other.register(*headers, flow=moved, call_id=call_id, cseq=2).status == 200
    one.close(flow)
    assert [binding.flow for _, binding in one.rows()] == [moved.name]
    assert one.contacts() == []
    other.compare()
    other.close(moved)
    assert one.rows() == []


def test_a_removal_that_was_overtaken_takes_nothing(machines: tuple[Registering, Registering]) -> None:
    one, other = machines
    contact = "Contact: <sip:alice@192.0.2.4>"
    assert one.register(contact, cseq=1).status == 200
    assert other.register(contact, cseq=3).status == 200
    # Sent before the other one, and late on its way.
    one.location.load([("alice@example.com", other.location.stored("alice@example.com")[0])])
    assert one.register(contact, "Expires: 0", cseq=2).status == 500
    assert one.register(contact, "Expires: 0", cseq=4).status == 200
    assert one.rows() == []


def test_a_contact_that_made_room_elsewhere_than_where_it_is_registered_now_stays(
    machines: tuple[Registering, Registering],
) -> None:
    one, other = machines
    for number in range(10):
        flow = one.connect("WSS", number)
        contact = f"Contact: <sip:alice@{number}.invalid;transport=ws>"
        assert one.register(contact, call_id=str(number), flow=flow).status == 200
    other.start(other.site)
    again = "Contact: <sip:alice@3.invalid;transport=ws>"
    assert other.register(again, call_id="3", cseq=2, flow=other.connect("WSS", 20)).status == 200
    del one.flows["wss/0a.3"]
    assert one.register(PAGE, call_id="new", flow=one.connect("WSS", 30), compared=False).status == 200
    assert [binding.cseq for _, binding in one.rows() if binding.call_id == "3"] == [2]
