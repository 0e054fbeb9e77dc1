"""Bindings over HTTP: what is shown of them, and which may be added and removed by hand."""

import pytest
from msgspec import structs
from msgspec.structs import replace

from office import NOW, Api, MemoryDesk, play
from oneproxy.ipc.desk import Bind, LookUp
from oneproxy.registrar.bindings import Binding


def registered(contact: str) -> Binding:
    path = ("<sip:edge.x.org;lr>",)
    return Binding(
        contact, NOW + 60.25, 700, "c@h", 4, "udp:192.0.2.7:5060", NOW, path, "Phone/1", "<urn:a>", 1
    )


def test_the_bindings_of_an_aor_are_shown_as_they_are() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        desk.bindings["alice@x.org", "sip:a@192.0.2.7"] = registered("sip:a@192.0.2.7")
        assert await api.get("/v1/locations/alice@X.org") == {
            "aor": "alice@x.org",
            "items": [
                {
                    "aor": "alice@x.org",
                    "contact": "sip:a@192.0.2.7",
                    "q": 0.7,
                    "static": False,
                    "expires_at": "2023-11-14T22:14:20.250Z",
                    "since": "2023-11-14T22:13:20.000Z",
                    "source": "udp:192.0.2.7:5060",
                    "path": ["<sip:edge.x.org;lr>"],
                    "user_agent": "Phone/1",
                    "instance": "<urn:a>",
                    "reg_id": 1,
                }
            ],
        }
        assert await api.get("/v1/locations/nobody@x.org") == {"aor": "nobody@x.org", "items": []}

    play(scene)


def test_bindings_are_listed_by_prefix_in_pages() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for user in ("amy", "bea", "ben", "bo"):
            for contact in ("sip:1", "sip:2"):
                one = registered(contact)
                desk.bindings[f"{user}@x.org", one.key] = one
        listed = []
        page = await api.get("/v1/locations?prefix=be&limit=3")
        listed += page["items"]
        page = await api.get(f"/v1/locations?prefix=be&limit=3&after={page['next']}")
        listed += page["items"]
        assert page["next"] is None
        assert [(one["aor"], one["contact"]) for one in listed] == [
            ("bea@x.org", "sip:1"),
            ("bea@x.org", "sip:2"),
            ("ben@x.org", "sip:1"),
            ("ben@x.org", "sip:2"),
        ]
        assert len((await api.get("/v1/locations"))["items"]) == 8
        assert len((await api.get("/v1/locations?prefix=bo@x.org"))["items"]) == 2

    play(scene)


def test_two_flows_of_one_contact_are_two_bindings_in_the_pages() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for instance in ("<urn:a>", "<urn:b>", "<urn:c>"):
            one = replace(registered("sip:1"), instance=instance)
            desk.bindings["amy@x.org", one.key] = one
        listed: list[str] = []
        after = ""
        while len(listed) < 10:
            page = await api.get(f"/v1/locations?limit=1&after={after}")
            listed += [one["instance"] for one in page["items"]]
            after = page["next"]
            if after is None:
                break
        assert listed == ["<urn:a>", "<urn:b>", "<urn:c>"]

    play(scene)


def test_flows_of_one_contact_are_listed_one_to_a_page_and_none_twice() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for reg_id in (1, 2, 3):
            one = structs.replace(registered("sip:a@192.0.2.7"), reg_id=reg_id)
            desk.bindings["amy@x.org", one.key] = one
        listed, after = [], ""
        while after is not None:
            page = await api.get(f"/v1/locations?limit=1&after={after}")
            listed += [one["reg_id"] for one in page["items"]]
            after = page["next"]
            assert len(listed) < 5
        assert listed == [1, 2, 3]

    play(scene)


def test_a_binding_is_added_by_hand_and_does_not_expire() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        made = await api.ask("POST", "/v1/locations/alice@x.org", {"contact": "sip:gw@192.0.2.9", "q": 0.25})
        assert (made.status_code, made.json()) == (
            201,
            {"aor": "alice@x.org", "contact": "sip:gw@192.0.2.9", "q": 0.25},
        )
        assert desk.questions[-1] == Bind("alice@x.org", "sip:gw@192.0.2.9", 250)
        (found,) = (await api.get("/v1/locations/alice@x.org"))["items"]
        assert (found["static"], found["expires_at"], found["q"]) == (True, None, 0.25)
        # Where anybody may register nobody has to be a subscriber.
        await api.ask("PUT", "/v1/domains/ajar.org", {"authenticate": ["INVITE"]})
        for domain in ("open.org", "ajar.org"):
            made = await api.ask("POST", f"/v1/locations/anybody@{domain}", {"contact": "sip:192.0.2.9"})
            assert (made.status_code, made.json()["q"]) == (201, 1.0)

    play(scene)


def test_a_user_that_a_uri_has_to_escape_is_looked_for_as_requests_name_it() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        await api.get("/v1/locations/J%C3%BCrgen@x.org")
        assert desk.questions[-1] == LookUp("J%C3%BCrgen@x.org")

    play(scene)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("alice@x.org", {}),
        ("alice@x.org", {"contact": 7}),
        ("alice@x.org", {"contact": "sip:192.0.2.9", "q": 1.5}),
        ("alice@x.org", {"contact": "sip:192.0.2.9", "q": "1"}),
        ("alice@x.org", {"contact": "tel:+351123"}),
        ("alice@x.org", {"contact": "mailto:a@x.org"}),
        ("alice@x.org", {"contact": "192.0.2.9"}),
        ("alice@x.org", {"contact": "sip:"}),
        ("alice@x.org", {"contact": "sip:a@192.0.2.9>,<sip:b@192.0.2.9"}),
        ("alice@x.org", {"contact": "sip:a@192.0.2.9\r\nVia: x"}),
        ("alice@x.org", {"contact": "sip:\u00fc@192.0.2.9"}),
        ("alice@x.org", {"contact": "sip:" + "a" * 4000 + "@192.0.2.9"}),
        ("alice@elsewhere.org", {"contact": "sip:192.0.2.9"}),
        ("info@x.org", {"contact": "sip:192.0.2.9"}),
        ("alice", {"contact": "sip:192.0.2.9"}),
        ("%00@x.org", {"contact": "sip:192.0.2.9"}),
    ],
)
def test_a_binding_that_no_call_could_use_is_refused(path: str, body: object) -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        assert await api.refused("POST", f"/v1/locations/{path}", body) == (422, "mistakes")
        assert desk.bindings == {}

    play(scene)


def test_one_binding_of_an_aor_is_removed_or_all() -> None:
    async def scene(api: Api, desk: MemoryDesk) -> None:
        for contact in ("sip:1", "sip:2", "sip:3"):
            desk.bindings["alice@x.org", contact] = registered(contact)
        desk.bindings["bob@x.org", "sip:1"] = registered("sip:1")
        path = "/v1/locations/alice@x.org"
        assert (await api.ask("DELETE", f"{path}?contact=sip:2")).json() == {"removed": 1}
        assert await api.refused("DELETE", f"{path}?contact=sip:2") == (404, "not-found")
        assert (await api.ask("DELETE", path)).json() == {"removed": 2}
        assert await api.refused("DELETE", path) == (404, "not-found")
        assert list(desk.bindings) == [("bob@x.org", "sip:1")]

    play(scene)
