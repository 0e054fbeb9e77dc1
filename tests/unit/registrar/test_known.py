"""Whether a REGISTER keeps up a binding that is there."""

import pytest

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.known import keeps_up
from oneproxy.registrar.location import Location
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Domain
from world import request

NOW = 1_000_000.0
DOMAIN = Domain("example.com")


def find(uri: Uri) -> tuple[Domain, str] | None:
    return (DOMAIN, f"{uri.user}@{uri.host}") if uri.host == "example.com" else None


def register(call_id: str, contact: str, to: str = "sip:bob@example.com") -> Request:
    data = request("REGISTER", "sip:example.com", f"Contact: <{contact}>", call_id=call_id)
    found = split(data.replace(b"To: <sip:bob@example.com>", f"To: <{to}>".encode()))
    assert isinstance(found, Request)
    return found


def location(known: bool = True) -> Location:
    one = Location(10, known)
    binding = Binding("sip:bob@192.0.2.4", NOW + 60, 1000, "call-7", 1, "udp:192.0.2.4:5060", NOW)
    if known:
        one.apply(Change("bob@example.com", (), (binding,)))
    return one


@pytest.mark.parametrize(
    ("call_id", "contact", "to", "kept"),
    [
        ("call-7", "sip:bob@192.0.2.9", "sip:bob@example.com", True),
        ("call-8", "sip:bob@192.0.2.4", "sip:bob@example.com", True),
        ("call-8", "sip:bob@192.0.2.9", "sip:bob@example.com", False),
        ("call-7", "sip:bob@192.0.2.4", "sip:eve@example.com", False),
        ("call-7", "sip:bob@192.0.2.4", "sip:bob@example.org", False),
        ("call-7", "sip:bob@192.0.2.4", "mailto:bob", False),
    ],
)
def test_it_is_by_its_call_id_or_contact(call_id: str, contact: str, to: str, kept: bool) -> None:
    assert keeps_up(register(call_id, contact, to), NOW, find, location()) is kept


def test_an_expired_binding_is_none() -> None:
    assert not keeps_up(register("call-7", "sip:bob@192.0.2.4"), NOW + 60, find, location())


def test_it_may_be_where_bindings_have_not_come_yet() -> None:
    assert keeps_up(register("call-8", "sip:bob@192.0.2.9"), NOW, find, location(known=False))
