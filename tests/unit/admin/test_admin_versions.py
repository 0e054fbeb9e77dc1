"""Versions of the site over HTTP, and all of it as a file: what is shown, and what never is."""

import json
import tomllib

import pytest

from office import NOW, Api, MemoryDesk, play, problem_in, sample_entries
from oneproxy.ipc.desk import PAGE, Differences, Found, Question, Stage
from oneproxy.site.entries import make_entries, to_document
from oneproxy.site.model import Entries

#: What stands in the sample and may not leave.
SECRETS = ("hush", "aaaaaaaa", "bbbbbbbb")


def domains(count: int) -> Entries:
    return make_entries([("domain", {"name": f"d{number:04}.org"}) for number in range(count)])


def test_versions_are_listed_newest_first_with_who_and_when() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.become({}, "dave", "all gone")
        found = await api.get("/v1/versions")
        assert [(one["version"], one["who"], one["comment"]) for one in found["items"]] == [
            (2, "dave", "all gone"),
            (1, "run", ""),
        ]
        assert found["items"][1]["at"] == "2023-11-14T22:13:21.000Z"
        assert (await api.get("/v1/versions?limit=1"))["items"] == found["items"][:1]
        one = await api.get("/v1/versions/2")
        assert (one["version"], one["who"], one["added"]) == (2, "dave", None)
        for path in ("/v1/versions/3", "/v1/versions/3/difference", "/v1/versions/1/difference?of=9"):
            assert await api.refused("GET", path) == (404, "not-found")
        for number in ("0", "-1", "x", str(2**31), "1.5"):
            assert await api.refused("GET", f"/v1/versions/{number}") == (422, "mistakes")
        assert await api.refused("POST", "/v1/versions/3/rollback") == (404, "not-found")

    play(scene)


def test_a_difference_is_told_in_lines_without_secrets_and_in_pages() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.become(domains(3), "dave")
        found = await api.get("/v1/versions/1/difference")
        assert (found["of"], found["to"], found["next"]) == (0, 1, None)
        assert {one["kind"] for one in found["items"]} == {"added"}
        back = await api.get("/v1/versions/1/difference?of=2&limit=4")
        assert [one["text"] for one in back["items"]] == [
            "+ access source 10.0.0.0/8 INVITE",
            "- domain d0000.org",
            "- domain d0001.org",
            "- domain d0002.org",
        ]
        rest = await api.get(f"/v1/versions/1/difference?of=2&after={back['next']}")
        assert [one["key"] for one in rest["items"]][:2] == ["open.org", "x.org"]
        assert rest["next"] is None

    play(scene)


def test_a_version_is_brought_back_as_a_new_one() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.become(domains(PAGE + 20), "dave")
        made = await api.ask("POST", "/v1/versions/1/rollback", If_Match='"2"')
        assert (made.status_code, made.json()["version"]) == (200, 3)
        assert made.json()["differing"] == PAGE + 20 + len(sample_entries())
        assert desk.entries == sample_entries()
        assert (desk.versions[3][0].who, desk.versions[3][0].comment) == ("writer", "back to version 1")
        # In parts, none of which is large.
        assert [(len(one.differing), one.first) for one in desk.questions if isinstance(one, Stage)] == [
            (PAGE, True),
            (20 + len(sample_entries()), False),
        ]
        again = await api.ask("POST", "/v1/versions/1/rollback")
        assert again.json() == {"version": 3, "differing": 0, "changed": []}
        assert await api.refused("POST", "/v1/versions/2/rollback", If_Match='"2"') == (412, "stale")

    play(scene)


def without_secrets(entries: Entries) -> dict[str, object]:
    """What an export may hold of the sample."""
    document = to_document(entries)
    for subscriber in document["subscriber"]:
        del subscriber["ha1"]
    gateway = document["provider"][0]["gateway"][0]
    gateway["uri"] = "sip:peer:***@192.0.2.9:5060"
    del gateway["register"]["password"]
    return document


def test_the_whole_site_is_exported_without_its_secrets() -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        toml = await api.ask("GET", "/v1/site?format=toml")
        assert (toml.headers["content-type"], toml.headers["etag"]) == ("application/toml", '"1"')
        assert tomllib.loads(toml.text) == without_secrets(sample_entries())
        found = await api.ask("GET", "/v1/site")
        assert found.headers["content-type"] == "application/json"
        assert found.json() == without_secrets(sample_entries())
        assert await api.refused("GET", "/v1/site?format=xml") == (422, "mistakes")

    play(scene)


@pytest.mark.parametrize(
    "entries",
    [
        {},
        make_entries([("flood", {"ban_s": 7})]),
        make_entries([("flood", {"ban_s": 7}), ("congestion", {"calls": 7})]),
        make_entries([("cdr", {"enabled": True}), ("route", {"prefix": "1"}), ("route", {"prefix": "1"})]),
        domains(1_100),
    ],
)
def test_any_site_is_exported_as_the_document_that_it_is(entries: Entries) -> None:
    async def scene(api: Api, _desk: MemoryDesk) -> None:
        assert (await api.get("/v1/site")) == to_document(entries)
        assert tomllib.loads((await api.ask("GET", "/v1/site?format=toml")).text) == to_document(entries)

    play(scene, entries)


def test_no_answer_holds_a_secret_of_the_site() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.become(
            {
                key: value.replace("hush", "hush2").replace("aaaa", "cccc")
                for key, value in sample_entries().items()
            },
            "dave",
        )
        paths = [
            "/v1/site",
            "/v1/site?format=toml",
            "/v1/subscribers",
            "/v1/subscribers/alice@x.org",
            "/v1/versions/1/difference",
            "/v1/versions/2/difference",
            "/v1/versions",
        ]
        answers = [(await api.ask("GET", path)).text for path in paths]
        edits = [
            {
                "section": "provider",
                "key": "carrier",
                "table": {"gateway": [{"name": "b", "uri": "sip:hush"}]},
            },
            {"section": "subscriber", "key": "bob@x.org", "table": {"ha1": {"MD5": "bbbbbbbb"}}},
        ]
        refused = await api.ask("POST", "/v1/changes", {"edits": edits})
        assert refused.json()["mistakes"] == [
            {
                "key": "subscriber.bob@x.org.ha1.MD5",
                "found": "***",
                "allowed": "32 or 64 hexadecimal digits",
            }
        ]
        made = await api.ask("POST", "/v1/changes", {"edits": edits[:1]})
        assert made.json()["changed"] == ["~ provider carrier: gateway changed"]
        answers += [refused.text, made.text, (await api.ask("POST", "/v1/versions/1/rollback")).text]
        shown = json.dumps(answers)
        assert [secret for secret in (*SECRETS, "cccccccc") if secret in shown] == []
        assert "ha1 changed" in answers[5]

    play(scene)


def test_an_instant_beyond_the_calendar_is_its_last_one() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        version, entries = desk.versions[1]
        desk.versions[1] = (type(version)(1, 1e18), entries)
        assert (await api.get("/v1/versions/1"))["at"] == "9999-12-31T23:59:59.999Z"
        assert NOW < 1e18

    play(scene)


def test_a_version_that_is_not_kept_any_more_is_said_to_be_that() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for number in range(3):
            await api.ask("PUT", "/v1/domains/x.org", {"max_contacts": number + 1})
        desk.oldest = 3
        for method, path in (("GET", ""), ("GET", "/difference"), ("POST", "/rollback")):
            answer = await api.ask(method, f"/v1/versions/1{path}")
            assert problem_in(answer) == (404, "not-found")
            assert "not kept any more" in answer.json()["detail"]
        assert "no version 99" in (await api.ask("GET", "/v1/versions/99")).json()["detail"]

    play(scene)


def test_a_version_that_is_forgotten_while_it_is_brought_back_changes_nothing() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        await api.ask("PUT", "/v1/domains/x.org", {"max_contacts": 3})
        ask = desk.ask

        async def forgets(question: Question) -> Found:
            found = await ask(question)
            if isinstance(question, Differences):
                desk.oldest = 2
            return found

        desk.ask = forgets  # type: ignore[method-assign]
        assert await api.refused("POST", "/v1/versions/1/rollback") == (404, "not-found")
        assert len(desk.versions) == 3

    play(scene)
