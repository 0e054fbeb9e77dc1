"""The HTTP API: its routes, and how OpenAPI describes them."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from oneproxy import __version__
from oneproxy.admin.asking import Desk
from oneproxy.admin.bans import ban_routes
from oneproxy.admin.calls import call_routes
from oneproxy.admin.cdr import cdr_routes
from oneproxy.admin.editing import KINDS
from oneproxy.admin.entries import change_routes, entry_routes
from oneproxy.admin.gateways import gateway_routes
from oneproxy.admin.health import health_routes
from oneproxy.admin.limits import REQUEST_S, Journal, Limits
from oneproxy.admin.locations import location_routes
from oneproxy.admin.models import TABLES, Edits, Explain, NewBinding, Problem
from oneproxy.admin.office import Office
from oneproxy.admin.problem import MEDIA_TYPE, add_handlers
from oneproxy.admin.tokens import Tokens, reader
from oneproxy.admin.versions import export_routes, version_routes
from oneproxy.site.model import Token

_BODIES: Final[tuple[type[BaseModel], ...]] = (*TABLES.values(), Edits, Explain, NewBinding, Problem)


def make_app(desk: Desk, tokens: Sequence[Token], request_s: float = REQUEST_S) -> FastAPI:
    """The application. desk: who knows the answers. request_s: how long a request may take."""
    # Its own pages of documentation load scripts from elsewhere, which an operator's network
    # need not reach; the description itself is served behind a token.
    app = FastAPI(title="OneProxy", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.office = Office(desk)
    app.state.tokens = Tokens(tokens)
    app.router.redirect_slashes = False
    add_handlers(app)
    app.include_router(_v1())

    @app.get("/livez", summary="Whether this process answers", tags=["health"])
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(reader)])
    async def description() -> JSONResponse:
        return JSONResponse(describe(app))

    app.add_middleware(Journal)
    app.add_middleware(Limits, request_s=request_s)
    return app


def _v1() -> APIRouter:
    routes = APIRouter(prefix="/v1")
    for kind in KINDS:
        routes.include_router(entry_routes(kind))
    for others in (
        change_routes(),
        version_routes(),
        export_routes(),
        location_routes(),
        ban_routes(),
        gateway_routes(),
        call_routes(),
        cdr_routes(),
        health_routes(),
    ):
        routes.include_router(others)
    return routes


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; every route may answer with a problem."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in _BODIES:
        found = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(found.pop("$defs", {}))
        schemas[model.__name__] = found
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for operation in path.values():
            # What FastAPI takes for granted is not what is answered here.
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem (RFC 9457)", "content": content}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    app.openapi_schema = document
    return document
