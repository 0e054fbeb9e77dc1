"""Session timers as a proxy asks for them (RFC 4028 8): what a refresh request gets on its way
down, and its 2xx on the way up.

A refresh request is an INVITE or an UPDATE. Which of the two sides support timers decides:

    caller  callee  the 2xx upstream                           refreshes
    yes     yes     the callee's Session-Expires               whom the callee named
    no      yes     the callee's Session-Expires               the callee
    yes     no      Session-Expires written by the last proxy  the caller
    no      no      nothing: the session never expires         nobody
"""

from typing import Final

from oneproxy.engine.call import LEAST_S, Session
from oneproxy.engine.decisions import Reply
from oneproxy.sip.edit import Edit
from oneproxy.sip.fields import option_tags, parse_delta_seconds
from oneproxy.sip.message import Message, Request, Response

#: RFC 4028 3: the methods that refresh a session.
REFRESHES: Final = ("INVITE", "UPDATE")
_TIMER: Final = "timer"


class Asked:
    """What a refresh request was given, for as long as its transaction lasts (RFC 4028 8.1).

    lines: whole header lines to add. dropped: places of the lines that they replace.
    expires_s: the interval that the request says now; 0 where none could be asked for.
    supported: whether the sender supports timers.
    """

    __slots__ = ("dropped", "expires_s", "lines", "supported")

    def __init__(
        self, lines: tuple[str, ...], dropped: tuple[int, ...], expires_s: int, supported: bool
    ) -> None:
        self.lines = lines
        self.dropped = dropped
        self.expires_s = expires_s
        self.supported = supported


_NOTHING: Final = Asked((), (), 0, False)


def ask(request: Request, session: Session) -> Asked | Reply:
    """What RFC 4028 8.1 has a proxy do to `request`, an INVITE or an UPDATE.

    A Reply is the 422 for an interval that is too small.
    """
    if not session.expires_s:
        return _NOTHING
    supported = _TIMER in _tags(request, "supported")
    least = _seconds(request, "min-se") or 0
    wanted = _seconds(request, "session-expires")
    if least < 0 or (wanted is not None and wanted < 0):
        # Not ours to mend: the callee says what is wrong with it, or does not care.
        return Asked((), (), 0, supported)
    accepted = max(session.min_s, LEAST_S)
    if wanted is None:
        expires_s = max(session.expires_s, accepted, least)
        return Asked((f"Session-Expires: {expires_s}",), (), expires_s, supported)
    if wanted < accepted:
        if supported:
            return Reply(422, "Session Interval Too Small", (f"Min-SE: {accepted}",))
        # Who does not know timers can't mend a 422: a proxy before us wrote this value.
        return _raised(request, wanted, max(least, accepted))
    expires_s = max(min(wanted, max(session.expires_s, accepted)), least)
    if expires_s == wanted:
        return Asked((), (), wanted, supported)
    return Asked(
        (_rewritten(request, expires_s),), tuple(request.positions("session-expires")), expires_s, supported
    )


def on_success(asked: Asked, response: Response) -> bytes | None:
    """A 2xx to a request that `ask` saw, for the next hop upstream and so without our Via.

    None where nothing is to be added, and it passes like any other. RFC 4028 8.2: we are
    the last element that knows timers, so we tell the caller to refresh.
    """
    if not asked.supported or not asked.expires_s or "session-expires" in response.first:
        return None
    edit = Edit(response)
    edit.pop("via")
    edit.append(f"Session-Expires: {asked.expires_s};refresher=uac")
    at = response.first.get("require")
    if at is None:
        edit.append("Require: timer")
    elif _TIMER not in _tags(response, "require"):
        edit.lines[at] = f"{edit.lines[at].rstrip(' ')}, {_TIMER}"
    return edit.join()


def interval(asked: Asked, response: Response) -> int:
    """Seconds until the session expires that this 2xx refreshes; 0 for never (RFC 4028 8.2)."""
    if "session-expires" not in response.first:
        return asked.expires_s if asked.supported else 0
    seconds = _seconds(response, "session-expires")
    # RFC 4028 4: none is shorter. Who says so would have his call forgotten while it goes on.
    return 0 if seconds is None or seconds < 0 else max(seconds, LEAST_S)


def _raised(request: Request, wanted: int, least: int) -> Asked:
    """RFC 4028 8.1: an interval too small of a sender that has no timers is made larger."""
    dropped = (*request.positions("session-expires"), *request.positions("min-se"))
    lines = (_rewritten(request, max(wanted, least)), f"Min-SE: {least}")
    return Asked(lines, dropped, max(wanted, least), False)


def _rewritten(request: Request, expires_s: int) -> str:
    """Session-Expires with another interval: its refresher is not ours to change."""
    _, semicolon, params = (request.get("session-expires") or "").partition(";")
    return f"Session-Expires: {expires_s}{semicolon}{params}"


def _seconds(message: Message, name: str) -> int | None:
    """The interval in header `name`, None where that is absent, -1 where it can't be read."""
    value = message.get(name)
    if value is None:
        return None
    seconds = None if name in message.again else parse_delta_seconds(value.partition(";")[0])
    return -1 if seconds is None else seconds


def _tags(message: Message, name: str) -> list[str]:
    """The option tags in header `name`, in lower case: they have none of their own."""
    return [tag.lower() for tag in option_tags(message.all(name))] if name in message.first else []
