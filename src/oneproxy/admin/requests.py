"""What the routes read of a request besides its path: its body, its cursor, who asks and what he saw."""

import asyncio
import base64
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, Header, Query, Request

from oneproxy.admin.changes import Author
from oneproxy.admin.problem import ProblemError, mistake_problem
from oneproxy.admin.tokens import Writer
from oneproxy.ipc.desk import PAGE

#: Octets of a body: with one entry, and with many.
MAX_BODY: Final = 1024 * 1024
MAX_BULK: Final = 16 * MAX_BODY
#: A body takes this long to come, at most.
BODY_S: Final = 30.0
MAX_COMMENT: Final = 200
MAX_CURSOR: Final = 8192

_cursor: Final = msgspec.json.Decoder(list[str])

Limit = Annotated[int, Query(ge=1, le=PAGE, description="entries of a page")]
Cursor = Annotated[str, Query(max_length=MAX_CURSOR, description="`next` of the page before", alias="after")]
Prefix = Annotated[str, Query(max_length=512, description="only what begins so")]
Comment = Annotated[
    str, Query(max_length=MAX_COMMENT, description="why, for the list of versions", alias="comment")
]
IfMatch = Annotated[
    str, Header(alias="If-Match", description='the ETag of the version that the change is based on: `"7"`')
]


async def read_body(request: Request, most: int = MAX_BODY) -> Any:
    """The JSON document in the body. Raises ProblemError."""
    taken = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                taken += chunk
                if len(taken) > most:
                    raise ProblemError(413, "too-large", f"a body has at most {most} octets")
    except TimeoutError:
        raise ProblemError(408, "slow", f"a body has to come within {BODY_S:.0f} s") from None
    try:
        return msgspec.json.decode(bytes(taken))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        detail = f"the body is no JSON document: {error}"
        raise ProblemError(400, "malformed", detail) from None


async def read_table(request: Request) -> dict[str, Any]:
    """One table in the body."""
    body = await read_body(request)
    if not isinstance(body, dict):
        raise ProblemError(400, "malformed", "the body has to be a JSON object")
    return body


def _author(token: Writer, comment: Comment = "", if_match: IfMatch = "") -> Author:
    """Who makes a change. Raises ProblemError."""
    if not comment.isprintable():
        raise mistake_problem("comment", "characters that control", "text of one line")
    return Author(token.name, comment, _seen(if_match))


#: Who makes a change, why, and of which version.
By = Annotated[Author, Depends(_author)]


def _seen(if_match: str) -> frozenset[int] | None:
    """The versions in an If-Match (RFC 9110 13.1.1); None for all. What we never sent matches none."""
    if if_match.strip() in ("", "*"):
        return None
    tags = [tag.strip() for tag in if_match.split(",")]
    digits = [tag[1:-1] for tag in tags if len(tag) > 2 and tag[0] == tag[-1] == '"']
    return frozenset(int(one) for one in digits if one.isascii() and one.isdecimal() and len(one) < 10)


def to_cursor(*place: str) -> str:
    """Where the next page begins, as a text that is handed back unread."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def from_cursor(cursor: str, parts: int) -> list[str]:
    """What `to_cursor` was given; empty texts for none. Raises ProblemError."""
    if not cursor:
        return [""] * parts
    try:
        octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        place = _cursor.decode(octets)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        place = []
    if len(place) != parts or not all(map(_storable, place)):
        raise mistake_problem("after", "something else", "what `next` of the page before says")
    return place


def _storable(text: str) -> bool:
    """Whether a database takes it in a comparison: PostgreSQL knows no NUL."""
    return "\0" not in text
