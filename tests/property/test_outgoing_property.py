"""Whatever a stranger dials or calls himself: one Request-URI, whole header lines, nothing besides."""

from hypothesis import given
from hypothesis import strategies as st

from asking import NOW, request_of
from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.uri import Uri, escape_user, parse_uri, unescape
from oneproxy.site.model import Format, Rewrite, Route
from oneproxy.trunks.call import Call
from oneproxy.trunks.identity import find_identity
from oneproxy.trunks.outgoing import Side, explain_outgoing, make_outgoing
from oneproxy.trunks.routes import Routes

OCTETS = st.text(st.characters(max_codepoint=255), max_size=80)
DIALLED = st.one_of(OCTETS, st.text(st.sampled_from("+0123456789*#"), max_size=80))
#: What may stand in quotes in a header line; more is no line.
DISPLAY = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters='"\\\x7f'), max_size=40
)
ROUTE = Route(
    "",
    provider="a",
    pattern=r"0(\d*)",
    replace=r"+\1",
    calling=Rewrite(prepend="1"),
    add=("X-Who: {called} {calling} {caller}",),
)
SIDES = [
    Side("a/a1", "sip:198.51.100.10;user=phone", Format(identity="asserted")),
    Side("a/a2", "sips:[2001:db8::1]:5061", Format("digits", identity="remote-party-id", trusted=True)),
    Side("a/a3", "sip:gw.example", Format("national", "PT", called=Rewrite(2, "9"), identity="asserted")),
]


@given(DIALLED, DISPLAY, DIALLED, st.sampled_from(SIDES), st.booleans())
def test_what_goes_out_is_one_uri_and_whole_lines(
    dialled: str, display: str, user: str, side: Side, withheld: bool
) -> None:
    sender = f'"{display}" <sip:{escape_user(user) or "u"}@example.com>'
    headers = ("Privacy: id",) if withheld else ()
    request = request_of("INVITE", "sip:x@example.com", *headers, sender=sender)
    call = Call(dialled, NOW, "example.com", "alice@example.com", user, "192.0.2.7")
    plan = Routes({"": ROUTE}).find(call)
    assert plan is not None
    identity = find_identity(request, False, "alice@example.com")
    out = make_outgoing(request, call, plan, side, identity)
    explained = explain_outgoing(request, call, plan, side, identity)
    if out is None:
        assert explained[-1] == ("Request-URI", "none: nothing is left of the number")
        return
    uri = parse_uri(out.uri)
    assert isinstance(uri, Uri)
    assert unescape(uri.user or "") == out.called
    assert uri.host in ("198.51.100.10", "2001:db8::1", "gw.example")
    assert ("Request-URI", out.uri) in explained
    for line in out.headers:
        assert "\r" not in line
        assert "\n" not in line
        line.encode("latin-1")
    told = [line for line in out.headers if line.startswith(("P-Asserted-Identity", "Remote-Party-ID"))]
    assert len(told) == bool(out.calling)
    for line in told:
        address = parse_address(line.partition(": ")[2])
        assert isinstance(address, Address)
        assert address.display == display.strip(" \t") or address.display == display
    if withheld and not side.format.trusted:
        assert told == []
