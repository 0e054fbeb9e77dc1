"""No text breaks a parser, and what a parser has read it can write and read again."""

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.credentials import Credentials, parse_challenge, parse_credentials
from oneproxy.sip.fields import (
    format_params,
    is_token,
    parse_cseq,
    parse_delta_seconds,
    parse_number,
    parse_params,
    parse_q,
    quote,
    split_list,
    unquote,
)
from oneproxy.sip.host import format_host, parse_hostport
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, escape_user, parse_uri, same_uri, unescape
from oneproxy.sip.via import Via, parse_via

OCTETS = st.characters(max_codepoint=0xFF)
ANYTHING = st.text(OCTETS, max_size=80) | st.text(max_size=40)


def pieces(*words: str) -> st.SearchStrategy[str]:
    """Texts put together of what parsers look for: most are wrong in one place only."""
    word = st.sampled_from(words) | st.text(OCTETS, max_size=2)
    return st.lists(word, max_size=12).map("".join)


URIS = ANYTHING | pieces(
    *("sip:", "sips:", "tel:", "+1-2", "alice", "%41", "%00", "%", ":", "@", "h.example", "[", "2001:db8::1"),
    *("]", ":5060", ";", "lr", "=", "transport", "tcp", "?", "a=b", "&", "#", "/"),
)
ADDRESSES = ANYTHING | pieces(
    *('"', "\\", "Bob", " ", "<", "sip:a@b", ";lr", ">", ";", "tag", "=", "x", ",", "*", "\t")
)
VIAS = ANYTHING | pieces(
    *("SIP/2.0/UDP ", "SIP", "/", "2.0", "UDP", " ", "\t", "a", ":", "5060", "[::1]", ";", "branch", "="),
    *("z9hG4bK", '"'),
)
PARAMETERS = ANYTHING | pieces(";", "a", "b", "=", '"', "\\", "<", ">", ",", " ", "1", "+")
CREDENTIALS = ANYTHING | pieces("Digest ", "Basic", " ", "a", "nc", "=", '"', "\\", ",", "x", "\t")


def parts(read: object) -> tuple[object, ...]:
    """What a value says, without the text that it came as."""
    names = [name for kind in type(read).__mro__ for name in getattr(kind, "__slots__", ())]
    return tuple(getattr(read, name) for name in sorted(names) if name != "text")


@given(URIS)
@example("sip:%40@[::]:1;%3B=%3D?a=b&%41=")
@example("a:\xa0")
def test_a_uri_written_from_its_parts_reads_as_the_same_parts(text: str) -> None:
    uri = parse_uri(text)
    if uri is Malformed.URI:
        return
    assert isinstance(uri, Uri)
    again = parse_uri(uri.format())
    assert isinstance(again, Uri)
    assert parts(again) == parts(uri)
    assert again.format() == uri.format()
    assert same_uri(uri, again)
    assert uri.text == text


@given(URIS, URIS)
def test_whether_uris_are_the_same_does_not_depend_on_their_order(a: str, b: str) -> None:
    first, second = parse_uri(a), parse_uri(b)
    if isinstance(first, Uri) and isinstance(second, Uri):
        assert same_uri(first, second) == same_uri(second, first)
        assert same_uri(first, first)


@given(st.text(OCTETS, min_size=1, max_size=30), st.text(OCTETS, min_size=1, max_size=30))
def test_addresses_of_record_are_equal_exactly_when_the_users_are(a: str, b: str) -> None:
    found = []
    for user in (a, b):
        uri = parse_uri(f"sip:{escape_user(user)}@h")
        assert isinstance(uri, Uri)
        assert unescape(uri.user or "") == user
        found.append(uri.aor())
        again = parse_uri(f"sip:{uri.aor()}")
        assert isinstance(again, Uri)
        assert again.aor() == uri.aor()
    assert (found[0] == found[1]) == (a == b)


@given(ANYTHING)
def test_a_host_and_port_written_anew_read_the_same(text: str) -> None:
    read = parse_hostport(text)
    if read is not None:
        host, port = read
        assert parse_hostport(format_host(host) + ("" if port is None else f":{port}")) == read


@given(ADDRESSES)
@example('"\\"')
@example("<a:b>")
def test_an_address_written_from_its_parts_reads_as_the_same_parts(text: str) -> None:
    address = parse_address(text)
    if address is Malformed.URI:
        return
    assert isinstance(address, Address)
    again = parse_address(address.format())
    assert isinstance(again, Address)
    assert parts(again) == parts(address)
    address.parsed()


@given(VIAS)
def test_a_via_written_from_its_parts_reads_as_the_same_parts(text: str) -> None:
    via = parse_via(text)
    if via is Malformed.VIA:
        return
    assert isinstance(via, Via)
    again = parse_via(via.format())
    assert isinstance(again, Via)
    assert parts(again) == parts(via)
    assert (again.branch, again.received, again.rport) == (via.branch, via.received, via.rport)


@given(PARAMETERS)
def test_parameters_written_anew_read_the_same(text: str) -> None:
    params = parse_params(text)
    if params is not None:
        assert parse_params(format_params(params)) == params


@given(CREDENTIALS)
def test_credentials_written_anew_read_the_same(text: str) -> None:
    for parse in (parse_credentials, parse_challenge):
        read = parse(text)
        if read is not Malformed.CREDENTIALS:
            assert not isinstance(read, Malformed)
            again = parse(read.format())
            assert not isinstance(again, Malformed)
            assert (again.scheme, again.params) == (read.scheme, read.params)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(OCTETS, max_size=20), min_size=1)
)
def test_credentials_hold_any_text(params: dict[str, str]) -> None:
    read = parse_credentials(Credentials("Digest", params).format())
    assert isinstance(read, Credentials)
    assert read.params == params


@given(st.text(OCTETS))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_list(quote(text) + ", b") == [quote(text), "b"]


@given(PARAMETERS)
def test_a_list_is_cut_only_at_its_commas(text: str) -> None:
    elements = split_list(text)
    cut = ",".join(elements).replace(" ", "").replace("\t", "")
    assert cut == text.replace(" ", "").replace("\t", "")
    assert all(element == element.strip(" \t") for element in elements)


@given(ANYTHING)
def test_numbers_are_in_their_range_or_refused(text: str) -> None:
    readers: list[tuple[Callable[[str], int | None], int]] = [
        (parse_number, 2**64),
        (parse_delta_seconds, 2**32 - 1),
        (parse_q, 1000),
    ]
    for read, largest in readers:
        number = read(text)
        assert number is None or 0 <= number <= largest
    cseq = parse_cseq(text)
    if not isinstance(cseq, Malformed):
        assert 0 <= cseq[0] < 2**31
        assert is_token(cseq[1])


@given(st.integers(min_value=0, max_value=1000))
def test_every_preference_of_three_digits_is_read(thousandths: int) -> None:
    assert parse_q(f"{thousandths / 1000:.3f}") == thousandths
