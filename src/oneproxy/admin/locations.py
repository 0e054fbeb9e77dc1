"""Routes of the location service: the bindings that there are, and those that people add and remove."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import ValidationError

from oneproxy.admin import requests
from oneproxy.admin.answers import find
from oneproxy.admin.models import BindingList, BindingMade, BindingPage, NewBinding, Removed
from oneproxy.admin.office import Office, TheOffice
from oneproxy.admin.problem import mistake_problem, not_found
from oneproxy.admin.requests import Cursor, Limit, Prefix, read_table
from oneproxy.admin.times import utc
from oneproxy.admin.tokens import Writer, reader
from oneproxy.ipc.desk import Bind, Bindings, BindingsFound, LookUp, Unbind, Unbound
from oneproxy.policy.live import on_wire
from oneproxy.registrar.bindings import Binding, is_static
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import parse_uri
from oneproxy.site import texts
from oneproxy.site.entries import part
from oneproxy.site.model import Domain

_CONTACT: Final = "a SIP URI such as sip:192.0.2.7:5060"
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewBinding"}}},
    }
}


def location_routes() -> APIRouter:
    """The routes of bindings."""
    routes = APIRouter(prefix="/locations", tags=["locations"], dependencies=[Depends(reader)])
    _add_reading(routes)
    _add_writing(routes)
    return routes


def _add_reading(routes: APIRouter) -> None:
    @routes.get("", summary="List bindings", response_model=BindingPage)
    async def list_bindings(
        office: TheOffice, prefix: Prefix = "", after: Cursor = "", limit: Limit = 100
    ) -> dict[str, Any]:
        aor, key = requests.from_cursor(after, 2)
        if "\0" in prefix:
            raise mistake_problem("prefix", "a NUL", "the beginning of an AoR")
        asked = Bindings(_wire_prefix(prefix), (aor, key), limit)
        found = (await find(office.desk, asked, BindingsFound)).bindings
        more = len(found) == limit
        return {
            "items": [_told(*one) for one in found],
            "next": requests.to_cursor(found[-1][0], found[-1][1].key) if more else None,
        }

    @routes.get("/{aor:path}", summary="The bindings of one AoR", response_model=BindingList)
    async def look_up(office: TheOffice, aor: str) -> dict[str, Any]:
        wire = _wire(aor)
        found = (await find(office.desk, LookUp(wire), BindingsFound)).bindings
        return {"aor": wire, "items": [_told(*one) for one in found]}


def _add_writing(routes: APIRouter) -> None:
    @routes.post(
        "/{aor:path}",
        summary="Add a binding that does not expire, and that no REGISTER removes",
        status_code=status.HTTP_201_CREATED,
        response_model=BindingMade,
        openapi_extra=_BODY,
    )
    async def add(office: TheOffice, _token: Writer, request: Request, aor: str) -> dict[str, Any]:
        wanted = _new_binding(await read_table(request))
        wire = _wire(aor)
        await office.copy.fresh()
        _see_whose(office, aor)
        await find(office.desk, Bind(wire, wanted.contact, round(wanted.q * 1000)), Unbound)
        return {"aor": wire, "contact": wanted.contact, "q": wanted.q}

    @routes.delete("/{aor:path}", summary="Remove one binding of an AoR, or all", response_model=Removed)
    async def remove(
        office: TheOffice,
        _token: Writer,
        aor: str,
        contact: Annotated[str, Query(max_length=4096, description="the one; all where it is left out")] = "",
    ) -> dict[str, Any]:
        found = await find(office.desk, Unbind(_wire(aor), contact), Unbound)
        if not found.removed:
            raise not_found(f"binding of {aor}")
        return {"removed": found.removed}


def _wire(aor: str) -> str:
    """An AoR as requests name it. Raises ProblemError for what is none."""
    try:
        return on_wire(texts.aor(aor))
    except ValueError:
        raise mistake_problem("aor", "something else", 'a user and a domain: "alice@example.com"') from None


def _wire_prefix(prefix: str) -> str:
    """The beginning of an AoR; of its user, as requests name it."""
    user, at, host = prefix.partition("@")
    return on_wire(f"{user}{at}{host}") if at else on_wire(f"{user}@")[:-1]


def _new_binding(body: dict[str, Any]) -> NewBinding:
    """What a body asks for. Raises ProblemError."""
    try:
        wanted = NewBinding.model_validate(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise mistake_problem(key, "what is not allowed", first["msg"]) from None
    uri = parse_uri(wanted.contact)
    if not _is_plain(wanted.contact) or isinstance(uri, Malformed) or not uri.host:
        raise mistake_problem("contact", "something else", _CONTACT)
    if uri.scheme not in ("sip", "sips"):
        raise mistake_problem("contact", f"the scheme {uri.scheme}", _CONTACT)
    return wanted


def _is_plain(text: str) -> bool:
    """Whether it is of the characters that a URI has: others are escaped in it (RFC 3261 25.1)."""
    return text.isascii() and text.isprintable() and not set(text) & set(' <>"')


def _see_whose(office: Office, aor: str) -> None:
    """See that calls for `aor` look for its bindings. Raises ProblemError."""
    written = texts.aor(aor)
    domain = written.rpartition("@")[2]
    value = office.copy.entries.get(("domain", domain))
    if value is None:
        raise mistake_problem("aor", f"the domain {domain}", "a domain that is served here, by its name")
    served = part("domain", value)
    is_open = isinstance(served, Domain) and served.is_open
    if not is_open and ("subscriber", written) not in office.copy.entries:
        # Where anybody may register, anybody may have a binding; elsewhere an alias, for one, has none.
        raise mistake_problem("aor", f"{written}, who is no subscriber", "the AoR of a subscriber")


def _told(aor: str, binding: Binding) -> dict[str, Any]:
    static = is_static(binding)
    return {
        "aor": aor,
        "contact": binding.contact,
        "q": binding.q / 1000,
        "static": static,
        "expires_at": None if static else utc(binding.expires_at),
        "since": utc(binding.since),
        "source": binding.source,
        "path": list(binding.path),
        "user_agent": binding.user_agent,
        "instance": binding.instance,
        "reg_id": binding.reg_id,
    }
