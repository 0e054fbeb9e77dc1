"""Who may do what: every route, without a token, with a wrong one, with one of each role."""

import asyncio
from functools import cache
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from office import TOKENS, Api, MemoryDesk, play, problem_in, sample_entries
from oneproxy.admin.app import describe, make_app
from recorded import a_record

RECORD = a_record()
#: What stands in a path where a parameter is named.
VALUES = {
    "{key}": "alice@x.org",
    "{aor}": "alice@x.org",
    "{name}": "192.0.2.1",
    "{number}": "1",
    "{id}": RECORD.id,
}
OPEN = {("get", "/livez")}
#: A question with a body, which changes nothing.
ASKING = {("post", "/v1/explain")}


@cache
def routes() -> list[tuple[str, str]]:
    """Every method and path that the description names, and the description."""
    found = [
        (method, path)
        for path, methods in describe(make_app(MemoryDesk(), ()))["paths"].items()
        for method in methods
    ]
    return [*found, ("get", "/openapi.json")]


def filled(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace(name, value)
    assert "{" not in path
    return path


def asked(method: str, path: str, token: str) -> httpx.Response:
    """What is answered; writes have a body that is no table, so that none of them succeeds."""

    async def scene() -> httpx.Response:
        api = Api(MemoryDesk(sample_entries()))
        body = None if method in ("get", "delete") else b"[1]"
        return await api.ask(method.upper(), filled(path), body, token=token)

    return asyncio.run(scene())


def test_every_route_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs/api.md").read_text()
    same = text.replace("/v1/domains", "/v1/subscribers").replace("/v1/access-rules", "/v1/subscribers")
    for method, path in routes():
        wanted = path.replace("/v1/domains", "/v1/subscribers").replace("/v1/access-rules", "/v1/subscribers")
        assert f"`{method.upper()} {wanted}`" in same or f"`{method.upper()} {wanted}`, ..." in same, path
    assert len(routes()) == 40


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_goes_by_the_role_of_the_token(method: str, path: str) -> None:
    answers = {token: asked(method, path, token) for token in ("", "wrong", *TOKENS.values())}
    if (method, path) in OPEN:
        assert {answer.status_code for answer in answers.values()} == {200}
        return
    assert problem_in(answers[""]) == (401, "no-token")
    assert answers[""].headers["www-authenticate"] == 'Bearer realm="oneproxy"'
    assert problem_in(answers["wrong"]) == (401, "wrong-token")
    assert answers["wrong"].headers["www-authenticate"] == 'Bearer realm="oneproxy", error="invalid_token"'
    if method == "get" or (method, path) in ASKING:
        assert answers["read-me"].status_code == answers["write-me"].status_code
    else:
        assert problem_in(answers["read-me"]) == (403, "read-only")
    assert answers["write-me"].status_code not in (401, 403, 405, 500)


def test_without_any_token_configured_nothing_but_liveness_answers() -> None:
    async def scene() -> None:
        app = make_app(MemoryDesk(sample_entries()), ())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            for method, path in routes():
                for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
                    answer = await http.request(method.upper(), filled(path), headers=headers)
                    assert answer.status_code == (200 if (method, path) in OPEN else 401)
            assert "oneproxy token" in (await http.get("/v1/health")).json()["detail"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "header", ["Basic d3JpdGUtbWU=", "Bearer", "write-me", "Bearer write-me x", "Bearer Write-me", "Bearer é"]
)
def test_what_is_no_bearer_token_opens_nothing(header: str) -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        answer = await api._http.get("/v1/health", headers={b"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401

    play(scene)


def test_a_wrong_token_is_logged_once_in_a_while_and_without_itself() -> None:
    with capture_logs() as logged:
        asked("get", "/v1/health", "a-wrong-token")
    refused = [one for one in logged if one["event"] == "token refused"]
    assert "a-wrong-token" not in str(logged)
    assert all(one["source"] == "192.0.2.5:4711" for one in refused)
