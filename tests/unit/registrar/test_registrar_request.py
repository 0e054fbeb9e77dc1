"""Reading a REGISTER."""

import pytest

from asking import FLOW, LISTENER, request_of
from oneproxy.engine.flow import Flow
from oneproxy.registrar.request import (
    MAX_CALL_ID,
    MAX_CONTACT,
    MAX_PATH,
    Wanted,
    format_source,
    read_register,
)
from oneproxy.sip.malformed import Malformed

AOR = "alice@example.com"


def read(*headers: str, call_id: str = "c1") -> Wanted | Malformed:
    return read_register(
        request_of("REGISTER", "sip:example.com", *headers, call_id=call_id, cseq=7), AOR, FLOW
    )


def good(*headers: str) -> Wanted:
    wanted = read(*headers)
    assert isinstance(wanted, Wanted)
    return wanted


def test_everything_in_a_full_register_is_read() -> None:
    wanted = good(
        'Contact: "A, B" <sip:alice@192.0.2.4>;q=0.7;expires=300;+sip.instance="<urn:uuid:1>";reg-id=2',
        "Expires: 600",
        "User-Agent: phone/1",
        "Path: <sip:edge.example.com;lr;ob>",
        "Supported: outbound, Path",
    )
    assert (wanted.aor, wanted.call_id, wanted.cseq, wanted.source) == (AOR, "c1", 7, "udp:192.0.2.7:5062")
    assert (wanted.expires_s, wanted.user_agent, wanted.everything) == (600, "phone/1", False)
    assert (wanted.path, wanted.shows_path) == (("<sip:edge.example.com;lr;ob>",), True)
    contact = wanted.contacts[0]
    assert contact.uri.text == "sip:alice@192.0.2.4"
    assert (contact.q, contact.expires_s, contact.instance, contact.reg_id) == (700, 300, "<urn:uuid:1>", 2)


def test_a_bare_register_is_a_query() -> None:
    wanted = good()
    assert (wanted.contacts, wanted.everything, wanted.expires_s, wanted.path) == ([], False, None, ())


def test_contacts_come_from_lists_and_from_several_lines() -> None:
    wanted = good("Contact: <sip:a@192.0.2.4>, sip:b@192.0.2.4;q=0.1", "m: <sip:c@192.0.2.4>")
    assert [(contact.uri.user, contact.q) for contact in wanted.contacts] == [
        ("a", 1000),
        ("b", 100),
        ("c", 1000),
    ]


@pytest.mark.parametrize("scheme", ["sip:a@b", "sips:a@b", "tel:+12025550123"])
def test_sip_sips_and_tel_contacts_are_taken(scheme: str) -> None:
    assert good(f"Contact: <{scheme}>").contacts[0].uri.text == scheme


@pytest.mark.parametrize(
    "value",
    [
        "<mailto:alice@example.com>",
        "<http://example.com>",
        "<sip:>",
        "sip:alice@example.com?Route=%3Csip:sip.example.com%3E",
        "*, <sip:a@b>",
        "<sip:a@b>, *",
        "<sip:a@b>;q=2",
        "<sip:a@b>;q",
        "<sip:a@b>,,<sip:c@d>",
        f"<sip:a@b;x={'x' * MAX_CONTACT}>",
        f'<sip:a@b>;+sip.instance="{"x" * 300}"',
    ],
)
def test_contacts_that_cannot_be_bound_are_malformed(value: str) -> None:
    assert read(f"Contact: {value}") is Malformed.CONTACT


def test_headers_within_a_bracketed_contact_are_kept() -> None:
    text = "sip:user@example.com?Route=%3Csip:sip.example.com%3E"
    assert good(f"Contact: <{text}>").contacts[0].uri.text == text


def test_a_star_needs_expires_0() -> None:
    assert good("Contact: *", "Expires: 0").everything
    assert read("Contact: *") is Malformed.EXPIRES
    assert read("Contact: *", "Expires: 1") is Malformed.EXPIRES
    assert read("Contact: *", "Expires: soon") is Malformed.EXPIRES


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", ""])
def test_a_malformed_time_stands_for_an_hour(value: str) -> None:
    wanted = good(f"Contact: <sip:a@b>;expires={value or chr(34) * 2}", f"Expires: {value}")
    assert (wanted.contacts[0].expires_s, wanted.expires_s) == (3600, 3600)


def test_a_time_too_large_is_the_largest() -> None:
    wanted = good("Contact: <sip:a@b>;expires=280297596632815", "Expires: 1" + "0" * 80)
    assert (wanted.contacts[0].expires_s, wanted.expires_s) == (2**32 - 1, 2**32 - 1)


@pytest.mark.parametrize("value", ["0", "x", "-1", str(2**31), ""])
def test_a_reg_id_that_makes_no_sense_is_none(value: str) -> None:
    assert good(f"Contact: <sip:a@b>;reg-id={value or chr(34) * 2}").contacts[0].reg_id == 0


def test_the_path_is_kept_in_order_and_shown_only_to_who_supports_it() -> None:
    wanted = good("Path: <sip:first;lr>, <sip:second;lr>", "Path: <sip:third;lr>")
    assert wanted.path == ("<sip:first;lr>", "<sip:second;lr>", "<sip:third;lr>")
    assert not wanted.shows_path


@pytest.mark.parametrize("value", ["sip:edge;lr", "<tel:+1>", "<sip:edge", f"<sip:edge;x={'x' * MAX_PATH}>"])
def test_a_path_that_could_not_be_followed_is_malformed(value: str) -> None:
    assert read(f"Path: {value}") is Malformed.ROUTE


def test_a_call_id_without_end_is_malformed() -> None:
    assert isinstance(read(call_id="x" * MAX_CALL_ID), Wanted)
    assert read(call_id="x" * (MAX_CALL_ID + 1)) is Malformed.CALL_ID


def test_a_long_user_agent_is_cut() -> None:
    assert good("User-Agent: " + "x" * 1000).user_agent == "x" * 255


def test_the_source_names_transport_host_and_port() -> None:
    assert format_source(FLOW) == "udp:192.0.2.7:5062"
    assert format_source(Flow(LISTENER, "2001:db8::7", 5060, "udp/a/b")) == "udp:[2001:db8::7]:5060"
