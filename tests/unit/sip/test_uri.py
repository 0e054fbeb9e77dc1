"""Reading, writing and comparing URIs."""

import pytest

from oneproxy.sip import uri as uri_module
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, escape_user, parse_uri, same_uri, unescape


def read(text: str) -> Uri:
    uri = parse_uri(text)
    assert isinstance(uri, Uri), text
    return uri


def parts(uri: Uri) -> tuple[object, ...]:
    return (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:example.com", ("sip", None, None, "example.com", None, {}, "")),
        ("SIPS:Alice@Example.COM:5061", ("sips", "Alice", None, "example.com", 5061, {}, "")),
        ("sip:alice:secret@192.0.2.1", ("sip", "alice", "secret", "192.0.2.1", None, {}, "")),
        ("sip:alice:@h", ("sip", "alice", "", "h", None, {}, "")),
        ("sip:[2001:DB8::1]:5060;lr", ("sip", None, None, "2001:db8::1", 5060, {"lr": None}, "")),
        (
            "sip:a;x=1?y/z@h;Transport=TCP;m%61ddr=192.0.2.9?Subject=a%20b&x=",
            (
                "sip",
                "a;x=1?y/z",
                None,
                "h",
                None,
                {"transport": "TCP", "maddr": "192.0.2.9"},
                "Subject=a%20b&x=",
            ),
        ),
        ("sip:#31#0123@h", ("sip", "#31#0123", None, "h", None, {}, "")),
        (
            "sip:+1-212-555;ext=7@h;user=phone",
            ("sip", "+1-212-555;ext=7", None, "h", None, {"user": "phone"}, ""),
        ),
        ("tel:+1-201-555-0123", ("tel", "+1-201-555-0123", None, "", None, {}, "")),
        (
            "tel:7042;phone-context=example.com",
            ("tel", "7042", None, "", None, {"phone-context": "example.com"}, ""),
        ),
        ("urn:service:sos", ("urn", None, None, "", None, {}, "")),
        ("http://www.example.com/?a=b@c", ("http", None, None, "", None, {}, "")),
        ("soap.beep://192.0.2.103:3002", ("soap.beep", None, None, "", None, {}, "")),
    ],
)
def test_a_uri_is_read_into_its_parts(text: str, expected: tuple[object, ...]) -> None:
    uri = read(text)
    assert parts(uri) == expected
    assert uri.text == text
    assert uri.is_ipv6 == (":" in uri.host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sips:",
        ":a@b",
        "alice@example.com",
        "sip:@example.com",
        "sip::pw@example.com",
        "sip:alice@",
        "sip:alice@@example.com",
        "sip:alice@evil.example@example.com",
        "sip:alice@example.com;x=a@b",
        "sip:alice@example.com:",
        "sip:alice@example.com:0",
        "sip:alice@example.com:99999",
        "sip:alice@example.com:50a",
        "sip:2001:db8::10",
        "sip:alice@[2001:db8::10",
        "sip:alice@example.com;",
        "sip:alice@example.com;;lr",
        "sip:alice@example.com;=x",
        "sip:alice@example.com;x=",
        "sip:alice@example.com;x=y=z",
        "sip:alice@example.com;lr;LR",
        "sip:alice@example.com;transport=udp;transport=tcp",
        "sip:alice@example.com;%6Cr;lr",
        "sip:alice@example.com?",
        "sip:alice@example.com?subject",
        "sip:alice@example.com?=x",
        "sip:alice@example.com?a=b&",
        "sip:alice@example.com?a=b?c=d=e",
        "sip:al ice@example.com",
        " sip:alice@example.com",
        "sip:alice@example.com ",
        "sip:alice@example.com\r\n",
        "sip:al\x00ice@example.com",
        "sip:<alice@example.com>",
        "<sip:alice@example.com>",
        'sip:"alice"@example.com',
        "sip:ali%xce@example.com",
        "sip:alice%4@example.com",
        "sip:alice%@example.com",
        "sip:al\xefce@example.com",
        "sip://example.com",
        "sip:alice[1]@example.com",
        "sip:alice:p;w@example.com",
        "tel:",
        "tel:alice",
        "tel:1+2",
        "tel:+1;",
        "tel:+1;x=%zz",
        "1a:b",
        "a b:c",
        "http://a b",
        "http:",
        "urn:\xe9",
    ],
)
def test_what_the_grammar_does_not_allow_is_malformed(text: str) -> None:
    assert parse_uri(text) is Malformed.URI


@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:alice@Example.com", "alice@example.com"),
        ("sips:Alice:secret@example.com:5061;transport=tcp?x=y", "Alice@example.com"),
        ("sip:%61lice@example.com", "alice@example.com"),
        ("sip:a%20b@example.com", "a%20b@example.com"),
        ("sip:a%2fb%2Fc@example.com", "a/b/c@example.com"),
        ("sip:%00@example.com", "%00@example.com"),
        ("sip:%00%00@example.com", "%00%00@example.com"),
        ("sip:alice%40evil.example@example.com", "alice%40evil.example@example.com"),
        ("sip:%2561@example.com", "%2561@example.com"),
        ("sip:#31#@example.com", "%2331%23@example.com"),
        ("sip:%2331%23@example.com", "%2331%23@example.com"),
        ("sip:alice@[2001:DB8::1]:5070", "alice@[2001:db8::1]"),
        ("sip:example.com:5060", "example.com"),
        ("sip:[::1]", "[::1]"),
        ("tel:+1-201", "+1-201"),
    ],
)
def test_an_address_of_record_is_the_user_at_the_host_in_one_form(text: str, aor: str) -> None:
    assert read(text).aor() == aor


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SIP:Alice:pw@EXAMPLE.com:5060;LR;x=%41?a=b", "sip:Alice:pw@example.com:5060;lr;x=A?a=b"),
        ("sip:[2001:db8::1]", "sip:[2001:db8::1]"),
        ("sip:h;x=%3B%3D%00", "sip:h;x=%3B%3D%00"),
        ("TEL:+1-201;ext=4", "tel:+1-201;ext=4"),
        ("URN:service:sos", "URN:service:sos"),
    ],
)
def test_a_uri_is_written_from_its_parts(text: str, written: str) -> None:
    assert read(text).format() == written
    assert parts(read(written)) == parts(read(text))


# RFC 3261 19.1.4 lists the first of each group as equal and the second as different.
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&Subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"),
        ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        ("urn:service:sos", "URN:service:sos"),
    ],
)
def test_equivalent_uris_are_the_same(a: str, b: str) -> None:
    assert same_uri(read(a), read(b))
    assert same_uri(read(b), read(a))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:biloxi.com"),
        ("sip:bob:a@biloxi.com", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;user=phone"),
        ("sip:bob@biloxi.com;ttl=1", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com;method=INVITE", "sip:bob@biloxi.com"),
        ("sip:%00@biloxi.com", "sip:%00%00@biloxi.com"),
        ("sip:a@h?x=1&x=1", "sip:a@h?x=1"),
        ("tel:+1201", "tel:1201"),
        ("tel:7042;phone-context=a.example", "tel:7042;phone-context=b.example"),
        ("urn:service:sos", "urn:service:SOS"),
    ],
)
def test_uris_that_could_lead_elsewhere_differ(a: str, b: str) -> None:
    assert not same_uri(read(a), read(b))
    assert not same_uri(read(b), read(a))


def test_escapes_are_taken_off_once_and_stray_percents_stay() -> None:
    assert unescape("a%2541%00%zz%4") == "a%41\x00%zz%4"
    assert unescape("%C3%A9") == "\xc3\xa9"
    assert escape_user("a b@\x00%~;\xe9") == "a%20b%40%00%25~;%E9"


def test_the_memory_of_texts_is_bounded_and_long_texts_are_not_kept() -> None:
    uri_module._memo.clear()
    long = f"sip:{'a' * 300}@example.com"
    assert read(long) is not read(long)
    assert read("sip:kept@example.com") is read("sip:kept@example.com")
    for number in range(uri_module._REMEMBERED + 1000):
        read(f"sip:{number}@example.com")
    assert 0 < len(uri_module._memo) <= uri_module._REMEMBERED
