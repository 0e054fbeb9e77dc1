"""Errors as RFC 9457 has them: a JSON document with a stable `code` that programs go by.

{"type": "about:blank", "title": "Conflict", "status": 409, "code": "exists",
 "detail": "there is a subscriber alice@example.com already"}
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from oneproxy.admin.asking import RecorderAwayError
from oneproxy.site.mistake import Mistake, found_text

MEDIA_TYPE: Final = "application/problem+json"
#: Mistakes that one answer names; a file of bad entries has thousands.
MAX_MISTAKES: Final = 100

log = structlog.get_logger()


class ProblemError(Exception):
    """What is answered instead. code: stable; detail: one line for people; more: further members."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.more = more

    def response(self) -> Response:
        """The response that says so."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        return JSONResponse(body | self.more, self.status, self.headers, MEDIA_TYPE)


def mistakes_problem(mistakes: Sequence[Mistake]) -> ProblemError:
    """Every mistake of a change, as `oneproxy check` names them."""
    shown = [{"key": one.key, "found": one.found, "allowed": one.allowed} for one in mistakes[:MAX_MISTAKES]]
    count = len(mistakes)
    detail = f"{count} {'mistake' if count == 1 else 'mistakes'}; nothing is changed"
    return ProblemError(422, "mistakes", detail, mistakes=shown)


def mistake_problem(key: str, found: str, allowed: str) -> ProblemError:
    """One mistake in what was asked."""
    return mistakes_problem([Mistake(0, key, found, allowed)])


def not_found(what: str) -> ProblemError:
    """There is no such thing."""
    return ProblemError(404, "not-found", f"there is no {what}")


def add_handlers(app: FastAPI) -> None:
    """Have every error of `app` answered as a problem."""
    app.add_exception_handler(ProblemError, _own)
    app.add_exception_handler(RecorderAwayError, _away)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


async def _own(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _away(_request: Request, error: Exception) -> Response:
    return ProblemError(503, "recorder-away", str(error), {"Retry-After": "1"}).response()


async def _parameters(_request: Request, error: Exception) -> Response:
    """Parameters of the path, the query or a header that are not what they have to be."""
    assert isinstance(error, RequestValidationError)
    mistakes = []
    for one in error.errors():
        name = str(one["loc"][-1])
        allowed = str(one["msg"]).removeprefix("Input should be ")
        mistakes.append(Mistake(0, name, found_text((name,), one["input"]), allowed))
    return mistakes_problem(mistakes).response()


async def _http(_request: Request, error: Exception) -> Response:
    """What the framework refuses: unknown paths, other methods."""
    assert isinstance(error, HTTPException)
    codes = {404: "not-found", 405: "method-not-allowed"}
    code = codes.get(error.status_code, "refused")
    return ProblemError(error.status_code, code, str(error.detail), error.headers).response()


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of our own."""
    log.error("request not handled", method=request.method, path=request.url.path, exc_info=error)
    return ProblemError(500, "fault", f"a fault of OneProxy: {type(error).__name__}").response()
