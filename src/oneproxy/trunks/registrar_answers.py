"""What a registrar says to its client: what it granted, how long it wants, where else to ask."""

from typing import Final

from oneproxy.sip.address import parse_address
from oneproxy.sip.fields import parse_delta_seconds, split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response
from oneproxy.sip.uri import Uri, parse_uri, same_uri

#: The longest time that a 423 may make us ask for: a week.
LONGEST_S: Final = 604_800


def granted_s(response: Response, contact: str, asked_s: int) -> int:
    """For how long a 200 says that `contact` is bound; 0 where it says that it is not (RFC 3261 10.2.4).

    A registrar that lists contacts and not ours has written ours otherwise (some do, for a NAT that
    they see): the one that it lists, if it is one. Without any list the request was granted.
    """
    own = parse_uri(contact)
    listed: list[tuple[Uri | None, str | None]] = []
    for value in [one for line in response.all("contact") for one in split_list(line)]:
        address = parse_address(value)
        if not isinstance(address, Malformed):
            uri = parse_uri(address.uri)
            listed.append((None if isinstance(uri, Malformed) else uri, address.params.get("expires")))
    ours = [
        expires
        for uri, expires in listed
        if uri is not None and not isinstance(own, Malformed) and same_uri(uri, own)
    ]
    if not ours and len(listed) == 1:
        ours = [listed[0][1]]
    if listed and not ours:
        return 0
    for written in (*ours, response.get("expires")):
        expires_s = parse_delta_seconds(written) if written else None
        if expires_s is not None:
            return expires_s
    return asked_s


def least_s(response: Response) -> int:
    """The time that a 423 wants to be asked for, seconds; 0 where it says none that may be had."""
    expires_s = parse_delta_seconds(response.get("min-expires") or "")
    return 0 if expires_s is None or expires_s > LONGEST_S else expires_s


def moved_to(response: Response, secure: bool) -> str:
    """The first place that a 301 or 302 names; "" for none. secure: it has to be SIPS."""
    for value in [one for line in response.all("contact") for one in split_list(line)]:
        address = parse_address(value)
        uri = Malformed.URI if isinstance(address, Malformed) else parse_uri(address.uri)
        if isinstance(uri, Malformed) or uri.scheme not in ("sip", "sips"):
            continue
        if uri.scheme == "sips" or not secure:
            params = {name: one for name, one in uri.params.items() if name != "method"}
            return Uri(uri.scheme, None, None, uri.host, uri.port, params, "", "").format()
    return ""


def retry_after_s(response: Response) -> int:
    """How long a failure asks to be left alone, seconds; 0 where it does not (RFC 3261 20.33)."""
    written = (response.get("retry-after") or "").partition("(")[0].partition(";")[0]
    return parse_delta_seconds(written) or 0
