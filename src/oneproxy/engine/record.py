"""The Record-Route of one copy of a request, and what becomes of it in the responses.

    request    has the mark of the dialog, with the place where its target is
    response   another one where the callee says that he is elsewhere (RFC 3261 16.7 step 8)

A response says who stands beside us on the way to the callee: whose Record-Route is the one above
ours, else its Contact (RFC 3261 12.1.2). Where the call changes transport or interface here there
are two values of ours (RFC 5658), each with the same mark. Of those that a side sends back in its
Route the last one counts: for the callee that is the lower one, which stays as it is, for the
caller the upper one, which is changed.

Nearly all responses are spelled as usual and stay as they are, and are looked at as octets: 1 us.
"""

from typing import TYPE_CHECKING, Final

from oneproxy.engine.routing import MARK
from oneproxy.sip.check import tag_of
from oneproxy.sip.edit import Edit
from oneproxy.sip.fields import split_list
from oneproxy.sip.message import Response, split

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Target
    from oneproxy.engine.dialog import DialogMark
    from oneproxy.engine.flow import Listener

_CONTACT: Final = b"\r\nContact: <"
_VALUE: Final = b"Record-Route: <"


def lines_of(mark: str, secure: bool, here: "Listener", there: "Listener") -> tuple[str, ...]:
    """Record-Route lines to push, the last one on top (RFC 3261 16.6 step 4, RFC 5658).

    secure: for a SIPS URI. here, there: where the request came in and where the copy goes out.
    """
    route = there.sips_route_uri if secure else there.route_uri
    line = f"Record-Route: <{route}{MARK}{mark}>"
    if here is there:
        return (line,)
    route = here.sips_route_uri if secure else here.route_uri
    return (f"Record-Route: <{route}{MARK}{mark}>", line)


def turned(marks: "DialogMark", line: str, target: "Target", data: bytes, is_final: bool) -> bytes:
    """A response that may begin a dialog, as the caller gets it.

    line: the last of `lines_of` in the copy that went to `target`. data: the response, without
    our Via. is_final: a 2xx, which is looked at more closely: what comes before it counts for
    the time until then alone.
    """
    written = line.encode("latin-1")
    at = data.find(b"ecord-") - 1
    if data.startswith(written, at):
        # Ours is the first.
        begins = data.find(_CONTACT, at)
        if begins < 0:
            return _turn(marks, line, target, data) if is_final else data
        begins += len(_CONTACT)
        end = data.find(b">", begins)
    else:
        begins = at + len(_VALUE)
        end = data.find(b">", begins)
        if not data.startswith(written, end + len(b">\r\n")):
            return _turn(marks, line, target, data)
    uri = data[begins:end].decode("latin-1")
    if uri == target.uri and not target.route:
        # He is where the request went: so it is in nearly all calls.
        return data
    # What was cut wrongly out of an unusual spelling is no URI and leads nowhere.
    places = marks.places
    return data if places.of(uri) == places.of_target(target) else _turn(marks, line, target, data)


def _turn(marks: "DialogMark", line: str, target: "Target", data: bytes) -> bytes:
    """The same by the header fields, which are read for it, with the other mark if one is needed."""
    mark = line.rpartition(MARK)[2][:-1]
    response = split(data)
    if not isinstance(response, Response):
        return data
    above = ""
    for at in response.positions("record-route"):
        for value in split_list(response.values[at]):
            if mark not in value.lower():
                above = value or above
                continue
            places = marks.places
            beside = above or response.get("contact")
            place = places.of_target(target) if beside is None else places.of_value(beside)
            if place == places.of_target(target):
                return data
            caller_tag = tag_of(response.get("from") or "") or ""
            edit = Edit(response)
            begins = edit.lines[at].lower().index(mark)
            other = marks.with_callee(mark, response.get("call-id") or "", caller_tag, place)
            edit.lines[at] = edit.lines[at][:begins] + other + edit.lines[at][begins + len(mark) :]
            return edit.join()
    return data
