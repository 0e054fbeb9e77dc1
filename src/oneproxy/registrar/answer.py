"""The 200 to a REGISTER: the bindings as they now are (RFC 3261 10.3 step 8)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from oneproxy.engine.decisions import Reply
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.gruu import Gruus, public
from oneproxy.registrar.request import Wanted
from oneproxy.sip.fields import quote
from oneproxy.site.model import Domain

#: The Date line of the present second, by that: all who are answered in it share one.
_dates: Final[dict[int, str]] = {}


def accept(
    wanted: Wanted,
    bindings: Sequence[Binding],
    now: float,
    domain: Domain | None = None,
    gruus: Gruus | None = None,
) -> Reply:
    """The 200 that lists `bindings`, with the whole seconds that each has left at `now`.

    domain: of the AoR; without it nothing is said of service routes and GRUUs. gruus: makes
    those that are temporary.
    """
    if domain is None or not (domain.gruu and wanted.gruu):
        gruus = None
    headers = [f"Contact: {_format_contact(binding, now, wanted.aor, gruus)}" for binding in bindings]
    if wanted.path and wanted.shows_path:
        headers.append(f"Path: {', '.join(wanted.path)}")
    if wanted.outbound:
        # RFC 5626 6: it tells the client that its flows are kept apart and its reg-id counted.
        headers.append("Require: outbound")
    if domain is not None and domain.service_route and bindings:
        # RFC 3608 5: the way that the client's own requests take, as long as it is registered.
        headers.append(f"Service-Route: {', '.join(f'<{uri}>' for uri in domain.service_route)}")
    second = int(now)
    headers.append(_dates.get(second) or _date_line(second))
    return Reply(200, "OK", tuple(headers))


def _date_line(second: int) -> str:
    """The Date line of a second since the epoch (RFC 3261 20.17)."""
    _dates.clear()
    line = _dates[second] = f"Date: {format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)}"
    return line


def format_q(q: int) -> str:
    """A preference of 0 to 1000 as a qvalue: "0.5", "1"."""
    return "1" if q == 1000 else f"0.{q:03}".rstrip("0").rstrip(".")


def _format_contact(binding: Binding, now: float, aor: str, gruus: Gruus | None) -> str:
    text = f"<{binding.contact}>;expires={round(binding.expires_at - now)}"
    if binding.q != 1000:
        text += f";q={format_q(binding.q)}"
    # The client finds its own binding by these where it registered several (RFC 5626 6).
    if binding.instance:
        text += f";+sip.instance={quote(binding.instance)}"
        if gruus is not None:
            text += f";pub-gruu={quote(public(aor, binding))}"
            text += f";temp-gruu={quote(gruus.temporary(aor, binding))}"
    if binding.reg_id:
        text += f";reg-id={binding.reg_id}"
    return text
