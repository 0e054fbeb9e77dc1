"""What stands around every request: how long it may take, and the line in the log that a write leaves."""

import asyncio
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneproxy.admin.problem import ProblemError

#: From the first octet of a request to the last of its answer.
REQUEST_S: Final = 60.0

log = structlog.get_logger()


class Limits:
    """Around `app`: ends what takes too long."""

    def __init__(self, app: ASGIApp, request_s: float = REQUEST_S) -> None:
        self._app = app
        self._request_s = request_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._request_s):
                await self._app(scope, receive, note)
        except TimeoutError:
            if not started:
                detail = f"it took longer than {self._request_s:.0f} s; what was asked may be done"
                await ProblemError(503, "too-slow", detail).response()(scope, receive, send)


#: Where a POST changes nothing: its body is a question.
ASKING: Final = frozenset(("/v1/explain",))


class Journal:
    """Around `app`: what asks for a change is logged, with who, what, from where and what became of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] in ("GET", "HEAD", "OPTIONS")
            or scope["path"] in ASKING
        ):
            await self._app(scope, receive, send)
            return
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        state = scope.setdefault("state", {})
        try:
            await self._app(scope, receive, note)
        finally:
            client = scope.get("client") or ("", 0)
            fields = {"version": state["version"]} if "version" in state else {}
            log.info(
                "change asked for",
                who=state.get("who", ""),
                method=scope["method"],
                # Of the path alone: what is asked with it is none of the log's business.
                path=scope["path"][:500],
                status=status,
                source=f"{client[0]}:{client[1]}",
                **fields,
            )
