"""The HTTP API in one process with a test: clients of it, and a desk that answers from memory."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from typing import Any

import httpx
from fastapi import FastAPI

from oneproxy.admin.app import make_app
from oneproxy.admin.asking import Desk, RecorderAwayError
from oneproxy.admin.office import Office
from oneproxy.admin.tokens import Tokens
from oneproxy.ipc.call_records import FindRecords, RecordsFound
from oneproxy.ipc.calls import AskCalls, CallEnded, CallFound, CallsFound, EndCall
from oneproxy.ipc.desk import (
    PAGE,
    AskExplain,
    AskGateways,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    Bind,
    Bindings,
    BindingsFound,
    Differences,
    DifferencesFound,
    Explained,
    Found,
    GatewaysFound,
    HealthFound,
    LiftBan,
    ListBans,
    Look,
    Looked,
    LookUp,
    NodeHealth,
    ProviderFound,
    Question,
    Refused,
    Rows,
    RowsFound,
    Stage,
    Staged,
    Stale,
    Unbind,
    Unbound,
    Versions,
    VersionsFound,
    Write,
    Written,
)
from oneproxy.ipc.limits import AskLimits, LimitFound, LimitsFound
from oneproxy.records.record import Record
from oneproxy.registrar.bindings import Binding, static_binding
from oneproxy.site.difference import Difference, carry_out, differences
from oneproxy.site.entries import make_entries
from oneproxy.site.model import Entries, Token, Version

NOW = 1_700_000_000.0
TOKENS = {"reader": "read-me", "writer": "write-me"}


def hashed(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def tokens() -> list[Token]:
    """One of each role."""
    return [
        Token("reader", hashed(TOKENS["reader"]), "read"),
        Token("writer", hashed(TOKENS["writer"]), "write"),
    ]


def ha1s(digit: str) -> dict[str, str]:
    return {"MD5": digit * 32, "SHA-256": digit * 64, "SHA-512-256": digit * 64}


def sample_entries() -> Entries:
    """A site with something secret in every place that may hold it."""
    gateway = {
        "name": "a1",
        "uri": "sip:peer:hush-uri@192.0.2.9:5060",
        "register": {"aor": "sip:me@c.org", "username": "me", "password": "hush-gateway"},
    }
    return make_entries(
        [
            ("domain", {"name": "x.org"}),
            ("domain", {"name": "open.org", "authenticate": []}),
            ("subscriber", {"aor": "alice@x.org", "ha1": ha1s("a"), "aliases": ["info"]}),
            ("subscriber", {"aor": "bob@x.org", "ha1": ha1s("b")}),
            ("access", {"source": "10.0.0.0/8", "action": "trust", "methods": ["INVITE"]}),
            ("provider", {"name": "carrier", "gateway": [gateway]}),
            ("flood", {"ban_s": 7}),
        ]
    )


class MemoryDesk:
    """Answers as the recorder does, from memory."""

    def __init__(self, entries: Entries | None = None) -> None:
        #: By number; 0 is before the first.
        self.versions: list[tuple[Version, Entries]] = [(Version(0, 0.0), {})]
        self.bindings: dict[tuple[str, str], Binding] = {}
        self.bans: dict[str, BanFound] = {}
        self.health = HealthFound("", "", 1, [NodeHealth(1, 0, True, 0, "edge-1")])
        self.providers: list[ProviderFound] = []
        self.limits: list[LimitFound] = []
        self.explained: Found = Explained([])
        self.calls: list[CallFound] = []
        #: Newest first; of what is wanted only the id counts.
        self.records: list[Record] = []
        #: The first one that is kept.
        self.oldest = 1
        self.questions: list[Question] = []
        self.refusal: Refused | None = None
        self.away = ""
        #: Called before a version is written: somebody else who is faster.
        self.rival: Callable[[], None] = lambda: None
        self._staged: list[Difference] = []
        if entries is not None:
            self.become(entries, "run")

    def become(self, entries: Entries, who: str, comment: str = "") -> Version:
        """Have a new version."""
        version = Version(len(self.versions), NOW + len(self.versions), who, comment)
        self.versions.append((version, entries))
        return version

    @property
    def entries(self) -> Entries:
        """Those of the newest version."""
        return self.versions[-1][1]

    async def ask(self, question: Question) -> Found:
        """The answer."""
        self.questions.append(question)
        # As over a socket, others have their turn meanwhile.
        await asyncio.sleep(0)
        if self.away:
            raise RecorderAwayError(self.away)
        return self.refusal or self._find(question)

    def _find(self, question: Question) -> Found:
        match question:
            case Look(version, at):
                known = 0 < version < len(self.versions) and self.versions[version][0].at == at
                return Looked(self.versions[-1][0], known)
            case Rows(base, version, after):
                made = differences(self.versions[base][1], self.versions[version][1])
                rows = [(one.section, one.key, one.after or "") for one in made]
                return RowsFound([row for row in rows if row[:2] > after][:PAGE])
            case Differences(of, to, after):
                made = differences(self.versions[of][1], self.versions[to][1])
                return DifferencesFound([one for one in made if (one.section, one.key) > after][:PAGE])
            case Versions(most, 0):
                return VersionsFound([one for one, _ in self.versions[1:]][::-1][:most])
            case Versions(_, version):
                there = self.oldest <= version < len(self.versions)
                return VersionsFound([self.versions[version][0]] if there else [])
            case Stage(differing, first):
                assert len(differing) <= PAGE
                self._staged = [*([] if first else self._staged), *differing]
                return Staged()
            case Write():
                return self._write(question)
            case _:
                return self._find_else(question)

    def _write(self, write: Write) -> Found:
        self.rival()
        newest = self.versions[-1][0].version
        if newest != write.base:
            return Stale(newest)
        assert len(self._staged) == write.count
        return Written(self.become(carry_out(self.entries, self._staged), write.who, write.comment))

    def _find_else(self, question: Question) -> Found:
        match question:
            case Bindings(prefix, after, most):
                keys = sorted(key for key in self.bindings if key > after and key[0].startswith(prefix))
                return BindingsFound([(key[0], self.bindings[key]) for key in keys[:most]])
            case LookUp(aor):
                return BindingsFound([(key[0], one) for key, one in self.bindings.items() if key[0] == aor])
            case Bind(aor, contact, q):
                self.bindings[aor, contact] = static_binding(contact, q, NOW)
                return Unbound(0)
            case Unbind(aor, contact):
                bound = self.bindings.items()
                gone = [key for key, one in bound if key[0] == aor and contact in ("", one.contact)]
                for key in gone:
                    del self.bindings[key]
                return Unbound(len(gone))
            case ListBans(after):
                names = sorted(name for name in self.bans if name > after)
                return BansFound([self.bans[name] for name in names[:PAGE]], self.health.silent)
            case LiftBan(name):
                return BanLifted(int(self.bans.pop(name, None) is not None), self.health.silent)
            case AskHealth():
                return self.health
            case AskGateways():
                return GatewaysFound(self.providers, 0, self.health.silent)
            case AskLimits():
                return LimitsFound(self.limits, 2, self.health.silent)
            case AskExplain():
                return self.explained
            case AskCalls(most=most):
                return CallsFound(self.calls[:most], len(self.calls), len(self.calls), 0, self.health.silent)
            case EndCall(name):
                ended = [one for one in self.calls if one.id == name]
                self.calls = [one for one in self.calls if one not in ended]
                return CallEnded(ended[0].node if ended else "", self.health.silent)
            case FindRecords(wanted, place, most):
                found = [one for one in self.records if wanted.id in ("", one.id)]
                behind = [one for one in found if place is None or (one.started_ms, one.id) < place]
                return RecordsFound(behind[:most], len(behind) >= most)
            case _:
                raise AssertionError(question)


@cache
def _app(request_s: float) -> FastAPI:
    """Making one takes a quarter of a second; what it remembers is in its office."""
    return make_app(MemoryDesk(), tokens(), request_s)


class Api:
    """A client of the API over `desk`."""

    def __init__(self, desk: Desk, request_s: float = 60.0) -> None:
        self.app = _app(request_s)
        self.app.state.office = Office(desk)
        self.app.state.tokens = Tokens(tokens())
        self.come_from("192.0.2.5")

    def come_from(self, host: str) -> None:
        """Ask from this address from now on."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(host, 4711))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://api")

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = TOKENS["writer"], **headers: str
    ) -> httpx.Response:
        """One request. headers: with "_" for "-"."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        kind = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        return await self._http.request(method, path, headers=sent, **kind)

    async def get(self, path: str) -> Any:
        """The document at `path`."""
        found = await self.ask("GET", path)
        assert found.status_code == 200, found.text
        return found.json()

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Status and code of a request that is refused, which has to be said as a problem."""
        return problem_in(await self.ask(method, path, body, **headers))


def problem_in(response: httpx.Response) -> tuple[int, str]:
    """The status and code of a response that has to be a problem."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == "about:blank"
    assert problem["title"] and problem["detail"]
    return problem["status"], problem["code"]


Scene = Callable[[Api, MemoryDesk], Awaitable[None]]


def play(scene: Scene, entries: Entries | None = None, request_s: float = 60.0) -> None:
    """Run a scene with a desk that has a site: `sample_entries` where none is given."""

    async def run() -> None:
        desk = MemoryDesk(sample_entries() if entries is None else entries)
        await scene(Api(desk, request_s), desk)

    asyncio.run(run())
