"""Subscribers, domains and access rules over HTTP: each change a version, or every mistake in it."""

import asyncio

import pytest

from office import Api, MemoryDesk, ha1s, play, sample_entries
from oneproxy.admin import requests
from oneproxy.ipc.desk import PAGE, Rows
from oneproxy.site.entries import decode_value, make_entries
from oneproxy.site.password import HASHES, hash_password


def test_a_subscriber_is_created_with_its_password_hashed() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        table = {"aor": "Zoe@X.org", "password": "geheim", "aliases": ["42"]}
        made = await api.ask("POST", "/v1/subscribers?comment=hired", table)
        assert made.status_code == 201
        assert made.json() == {"version": 2, "differing": 1, "changed": ["+ subscriber Zoe@x.org"]}
        assert made.headers["etag"] == '"2"'
        assert made.headers["location"] == "/v1/subscribers/Zoe@x.org"
        value = decode_value(desk.entries["subscriber", "Zoe@x.org"])
        assert value["ha1"] == hash_password("Zoe@x.org", "geheim", HASHES)
        assert "geheim" not in str(desk.entries)
        version = desk.versions[-1][0]
        assert (version.who, version.comment) == ("writer", "hired")
        found = await api.get("/v1/subscribers/Zoe@x.org")
        assert found == {"aor": "Zoe@x.org", "aliases": ["42"], "may_use": []}

    play(scene)


def test_what_is_there_already_is_not_created_again() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        table = {"aor": "alice@X.ORG", "password": "p"}
        assert await api.refused("POST", "/v1/subscribers", table) == (409, "exists")
        assert await api.refused("POST", "/v1/domains", {"name": "X.org"}) == (409, "exists")
        rule = {"source": "10.0.0.0/8", "action": "deny", "methods": ["INVITE"]}
        assert await api.refused("POST", "/v1/access-rules", rule) == (409, "exists")
        assert len(desk.versions) == 2

    play(scene)


def test_a_subscriber_that_is_replaced_without_a_password_keeps_it() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        table = await api.get("/v1/subscribers/alice@x.org")
        made = await api.ask("PUT", "/v1/subscribers/alice@x.org", table | {"aliases": ["sales"]})
        assert made.json()["changed"] == [
            '~ subscriber alice@x.org: aliases ["info"] -> ["sales"]',
        ]
        assert decode_value(desk.entries["subscriber", "alice@x.org"])["ha1"] == ha1s("a")
        made = await api.ask("PUT", "/v1/subscribers/alice@x.org", {"password": "new"})
        assert made.json()["changed"] == [
            '~ subscriber alice@x.org: ha1 changed; aliases ["sales"] -> default'
        ]

    play(scene)


def test_what_is_read_and_put_back_changes_nothing() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for kind in ("subscribers", "domains", "access-rules"):
            for one in (await api.get(f"/v1/{kind}"))["items"]:
                made = await api.ask("PUT", f"/v1/{kind}/{one['key'].replace('/', '%2F')}", one["value"])
                assert made.json() == {"version": 1, "differing": 0, "changed": []}
        assert desk.entries == sample_entries()
        assert len(desk.versions) == 2

    play(scene)


def test_every_mistake_is_named_and_nothing_is_changed() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        tables = [
            {"aor": "zoe@y.org", "password": 7},
            {"aor": "carl@x.org", "password": "p", "colour": "red"},
            {"aor": "dora@x.org", "password": "p", "aliases": ["bob"]},
            {"aor": "eve@x.org", "password": "p", "aliases": ["b%6Fb"]},
        ]
        answer = await api.ask("POST", "/v1/subscribers", tables)
        assert answer.status_code == 422
        assert answer.json()["code"] == "mistakes"
        assert {(one["key"], one["found"]) for one in answer.json()["mistakes"]} == {
            ("subscriber.zoe@y.org.password", "***"),
            ("subscriber.zoe@y.org.aor", 'the domain "y.org"'),
            ("subscriber.carl@x.org.colour", "an unknown key"),
            ("subscriber.dora@x.org.aliases[1]", '"bob", which is a subscriber'),
            ("subscriber.eve@x.org.aliases[1]", '"b%6Fb", which is a subscriber'),
        }
        assert all(one["allowed"] for one in answer.json()["mistakes"])
        assert len(desk.versions) == 2

    play(scene)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/subscribers", {"password": "p"}),
        ("POST", "/v1/subscribers", {"aor": 7, "password": "p"}),
        (
            "POST",
            "/v1/subscribers",
            [{"aor": "z@x.org", "password": "p"}, {"aor": "z@X.org", "password": "q"}],
        ),
        ("POST", "/v1/access-rules", {"source": "10.0.0.1/8", "action": "deny"}),
        ("POST", "/v1/access-rules", {"action": "deny"}),
        ("POST", "/v1/access-rules", {"source": None, "client": None, "action": "deny"}),
        ("POST", "/v1/access-rules", {"source": [], "action": {}, "methods": 5}),
        (
            "PUT",
            "/v1/access-rules/source%2010.0.0.0%2F8%20INVITE",
            {"source": "10.0.0.0/9", "action": "deny"},
        ),
        ("PUT", "/v1/subscribers/alice@x.org", {"aor": "bob@x.org", "password": "p"}),
        ("PUT", "/v1/subscribers/new@x.org", {}),
        ("PUT", "/v1/subscribers/nobody", {"password": "p"}),
        ("DELETE", "/v1/domains/x.org", None),
        ("POST", "/v1/subscribers?comment=a%0Ab", {"aor": "z@x.org", "password": "p"}),
        ("POST", "/v1/changes", {"edits": [{"section": "node", "key": "", "table": {"name": "x"}}]}),
        ("POST", "/v1/changes", {"edits": [{"section": "route", "key": "1", "table": None}]}),
        # A password goes with the name: nobody could log in as zoe by what bob had.
        (
            "POST",
            "/v1/changes",
            {"edits": [{"section": "subscriber", "key": "bob@x.org", "table": {"aor": "zoe@x.org"}}]},
        ),
        ("GET", "/v1/subscribers?limit=0", None),
        ("GET", "/v1/subscribers?limit=501", None),
        ("GET", "/v1/subscribers?after=%25", None),
        ("GET", "/v1/subscribers?after=WyJhIiwiYiJd", None),
        ("GET", "/v1/subscribers?after=WyJcdTAwMDAiXQ", None),
    ],
)
def test_what_is_not_allowed_is_422_with_what_is_and_changes_nothing(
    method: str, path: str, body: object
) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        answer = await api.ask(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "mistakes"), answer.text
        assert all(set(one) == {"key", "found", "allowed"} for one in answer.json()["mistakes"])
        if "limit=501" in path:
            assert answer.json()["mistakes"] == [
                {"key": "limit", "found": '"501"', "allowed": "less than or equal to 500"}
            ]
        assert len(desk.versions) == 2

    play(scene)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/subscribers", b""),
        ("POST", "/v1/subscribers", b'{"aor": '),
        ("POST", "/v1/subscribers", b'{"aor": "\xff"}'),
        ("POST", "/v1/subscribers", b'{"aor": "\\ud800@x.org"}'),
        ("POST", "/v1/subscribers", b"[[]]"),
        ("POST", "/v1/subscribers", b'"x"'),
        ("POST", "/v1/subscribers", b"[" * 100_000),
        ("PUT", "/v1/subscribers", b"{}"),
        ("PUT", "/v1/subscribers/alice@x.org", b"[]"),
        ("POST", "/v1/changes", b"[]"),
        ("POST", "/v1/changes", b'{"edits": [{"section": 1, "key": "", "table": null}]}'),
        ("POST", "/v1/changes", b'{"edits": [], "more": 1}'),
    ],
)
def test_what_is_no_document_of_the_right_shape_is_400(method: str, path: str, body: bytes) -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        assert await api.refused(method, path, body) == (400, "malformed")

    play(scene)


def test_a_change_based_on_an_old_version_is_refused_and_one_on_the_newest_is_made() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        read = await api.ask("GET", "/v1/subscribers/alice@x.org")
        desk.become(desk.entries | make_entries([("flood", {"ban_s": 9})]), "dave")
        path, table = "/v1/subscribers/alice@x.org", {"aliases": ["sales"]}
        stale = await api.ask("PUT", path, table, If_Match=read.headers["etag"])
        assert (stale.status_code, stale.json()["code"], stale.headers["etag"]) == (412, "stale", '"2"')
        for tags in ('"1"', "2", 'W/"2"', '"x"', '"1", "7"', '""'):
            assert await api.refused("PUT", path, table, If_Match=tags) == (412, "stale")
        assert len(desk.versions) == 3
        made = await api.ask("PUT", path, table, If_Match='"1", "2"')
        assert (made.status_code, made.json()["version"]) == (200, 3)
        assert (await api.ask("DELETE", path, If_Match="*")).json()["version"] == 4
        assert desk.versions[-1][0].who == "writer"

    play(scene)


def test_a_change_that_another_one_overtakes_is_made_again_of_the_newest() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        rivals = iter(["r1", "r2"])

        def rival() -> None:
            for name in rivals:
                desk.become(desk.entries | make_entries([("domain", {"name": f"{name}.org"})]), "rival")
                return

        desk.rival = rival
        made = await api.ask("POST", "/v1/domains", {"name": "late.org"})
        assert (made.status_code, made.json()["version"]) == (201, 4)
        assert made.json()["changed"] == ["+ domain late.org"]
        found = {key for section, key in desk.entries if section == "domain"}
        assert found == {"x.org", "open.org", "r1.org", "r2.org", "late.org"}

    play(scene)


def test_one_that_is_overtaken_by_what_forbids_it_is_refused() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        taken = desk.entries | make_entries([("domain", {"name": "late.org", "aliases": ["z.org"]})])

        def rival() -> None:
            desk.rival = lambda: None
            desk.become(taken, "rival")

        desk.rival = rival
        assert await api.refused("POST", "/v1/domains", {"name": "late.org"}) == (409, "exists")
        assert desk.entries == taken

    play(scene)


def test_one_that_is_overtaken_again_and_again_gives_up() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        number = iter(range(100))
        desk.rival = lambda: void(
            desk.become(desk.entries | make_entries([("flood", {"ban_s": 10 + next(number)})]), "rival")
        )
        answer = await api.ask("POST", "/v1/domains", {"name": "late.org"})
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "1"

    play(scene)


def void(_: object) -> None:
    pass


def test_two_writers_at_once_lose_nothing() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        names = [f"u{number}" for number in range(20)]
        made = await asyncio.gather(
            *(api.ask("POST", "/v1/subscribers", {"aor": f"{name}@x.org", "password": "p"}) for name in names)
        )
        assert {one.status_code for one in made} == {201}
        assert sorted(one.json()["version"] for one in made) == list(range(2, 22))
        assert all(("subscriber", f"{name}@x.org") in desk.entries for name in names)

    play(scene)


def test_many_entries_become_one_version() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        tables = [{"aor": f"u{number:04}@x.org", "password": "p"} for number in range(1_200)]
        made = await api.ask("POST", "/v1/subscribers", tables)
        assert made.status_code == 201
        assert (made.json()["version"], made.json()["differing"], len(made.json()["changed"])) == (
            2,
            1200,
            100,
        )
        replaced = [{"aor": table["aor"], "aliases": [f"9{at}"]} for at, table in enumerate(tables)]
        made = await api.ask("PUT", "/v1/subscribers", replaced)
        assert (made.json()["version"], made.json()["differing"]) == (3, 1200)
        assert len(desk.entries) == 1_200 + len(sample_entries())
        assert "location" not in made.headers

    play(scene)


def test_changes_of_several_kinds_become_one_version() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        edits = [
            {"section": "subscriber", "key": "bob@x.org", "table": None},
            {"section": "subscriber", "key": "alice@x.org", "table": {"aliases": ["bob"]}},
            {"section": "domain", "key": "y.org", "table": {}},
            {"section": "flood", "key": "", "table": None},
            {"section": "route", "key": "+351", "table": {"prefix": "+351", "provider": "carrier"}},
        ]
        made = await api.ask("POST", "/v1/changes", {"edits": edits})
        assert made.status_code == 200, made.text
        assert made.json() == {
            "version": 2,
            "differing": 5,
            "changed": [
                "+ domain y.org",
                "- flood",
                "+ route +351",
                '~ subscriber alice@x.org: aliases ["info"] -> ["bob"]',
                "- subscriber bob@x.org",
            ],
        }
        assert decode_value(desk.entries["subscriber", "alice@x.org"])["ha1"] == ha1s("a")

    play(scene)


def test_what_is_deleted_is_gone_and_what_is_not_there_is_404() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert (await api.ask("DELETE", "/v1/subscribers/bob@X.org")).json() == {
            "version": 2,
            "differing": 1,
            "changed": ["- subscriber bob@x.org"],
        }
        for method in ("GET", "DELETE"):
            assert await api.refused(method, "/v1/subscribers/bob@x.org") == (404, "not-found")
        assert await api.refused("DELETE", "/v1/access-rules/source%201.2.3.4") == (404, "not-found")
        assert ("subscriber", "bob@x.org") not in desk.entries

    play(scene)


def test_lists_come_in_pages_by_prefix_and_follow_what_is_changed() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        users = [f"{letter}{number}@x.org" for letter in "mn" for number in range(10, 40)]
        entries = make_entries([("subscriber", {"aor": user, "ha1": ha1s("0")}) for user in users])
        desk.become(desk.entries | entries, "run")
        listed: list[str] = []
        path = "/v1/subscribers?limit=7&prefix=n"
        page = await api.get(path)
        while True:
            listed += [one["key"] for one in page["items"]]
            if page["next"] is None:
                break
            page = await api.get(f"{path}&after={page['next']}")
        assert listed == users[30:]
        assert len((await api.get("/v1/subscribers"))["items"]) == 62
        await api.ask("DELETE", "/v1/subscribers/n39@x.org")
        assert [one["key"] for one in (await api.get("/v1/subscribers?prefix=n3"))["items"]] == users[50:59]
        assert (await api.get("/v1/subscribers?prefix=zz"))["items"] == []
        # What was not changed is not fetched again.
        asked = [one for one in desk.questions if isinstance(one, Rows)]
        assert [(one.base, one.version) for one in asked] == [(0, 2), (2, 3)]

    play(scene)


def test_a_large_site_is_fetched_page_by_page_and_anew_when_its_history_is_another() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        users = [{"aor": f"u{number:05}@x.org", "ha1": ha1s("0")} for number in range(PAGE * 2)]
        desk.become(make_entries([("domain", {"name": "x.org"}), *(("subscriber", u) for u in users)]), "run")
        assert len((await api.get("/v1/subscribers?limit=500"))["items"]) == 500
        assert len([one for one in desk.questions if isinstance(one, Rows)]) == 3
        # A database that was restored: the same number, another version.
        version, _ = desk.versions[2]
        desk.versions[2] = (type(version)(2, version.at + 5), sample_entries())
        assert [one["key"] for one in (await api.get("/v1/subscribers"))["items"]] == [
            "alice@x.org",
            "bob@x.org",
        ]

    play(scene)


def test_a_body_above_the_limit_is_refused_and_one_for_many_may_be_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (requests.MAX_BODY, requests.MAX_BULK) == (1024 * 1024, 16 * 1024 * 1024)

    async def scene(api: Api, desk: MemoryDesk) -> None:
        long = b'{"password": "' + b"x" * requests.MAX_BODY + b'"}'
        assert await api.refused("PUT", "/v1/subscribers/zoe@x.org", long) == (413, "too-large")
        many = b"[]" + b" " * requests.MAX_BODY
        assert (await api.ask("PUT", "/v1/subscribers", many)).json()["differing"] == 0
        monkeypatch.setattr(requests, "MAX_BULK", 100)
        assert await api.refused("PUT", "/v1/subscribers", b"[" + b" " * 100 + b"]") == (413, "too-large")
        assert len(desk.versions) == 2

    play(scene)


def test_an_entry_that_no_page_could_carry_is_refused() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        aliases = [f"{number:0300}" for number in range(4_000)]
        table = {"aor": "zoe@x.org", "password": "p", "aliases": aliases}
        answer = await api.ask("PUT", "/v1/subscribers", [table])
        assert answer.status_code == 422
        assert answer.json()["mistakes"][0]["allowed"] == "at most 1048576"
        assert len(desk.versions) == 2

    play(scene)
