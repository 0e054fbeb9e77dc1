"""What RFC 3327, 3608, 5626 and 5627 ask of a registrar, on both databases."""

from collections.abc import Iterator

import pytest

from oneproxy.engine.decisions import Reply
from oneproxy.site.model import Domain, Site
from registering import ALICE, Registering, a_site, parameter, values

DESK = "Contact: <sip:alice@192.0.2.4>"
PHONE = "Contact: <sip:alice@192.168.1.5:5062;transport=tcp>"
ONE, TWO = '+sip.instance="<urn:uuid:1>"', '+sip.instance="<urn:uuid:2>"'
PUBLIC = "sip:alice@example.com;gr=urn:uuid:1"


@pytest.fixture
def registrar(database_url: str) -> Iterator[Registering]:
    made = Registering(database_url)
    yield made
    made.end()


def gruu(answer: Reply, kind: str = "temp-gruu", contact: int = 0) -> str:
    return parameter(values(answer, "Contact")[contact], kind)


class TestPath:
    """RFC 3327."""

    def test_5_3_the_path_is_kept_and_calls_go_back_along_it(self, registrar: Registering) -> None:
        answer = registrar.register(DESK, "Path: <sip:p2;lr>, <sip:p1;lr>", "Supported: path")
        assert values(answer, "Path") == ["<sip:p2;lr>, <sip:p1;lr>"]
        [binding] = registrar.location.lookup(ALICE, registrar.now)
        assert binding.path == ("<sip:p2;lr>", "<sip:p1;lr>")

    def test_5_3_who_does_not_support_it_is_not_shown_it(self, registrar: Registering) -> None:
        assert values(registrar.register(DESK, "Path: <sip:p1;lr>"), "Path") == []

    def test_5_3_a_refresh_by_another_way_replaces_the_path(self, registrar: Registering) -> None:
        registrar.register(DESK, "Path: <sip:p1;lr>", "Supported: path")
        registrar.register(DESK, "Path: <sip:p9;lr>", "Supported: path", cseq=2)
        assert [one.path for one in registrar.location.lookup(ALICE, registrar.now)] == [("<sip:p9;lr>",)]

    def test_4_a_path_that_is_no_route_is_refused(self, registrar: Registering) -> None:
        for path in ("sip:p1;lr", "<tel:+1>", "<sip:p1;lr>,,"):
            assert registrar.register(DESK, f"Path: {path}", "Supported: path").status == 400


class TestServiceRoute:
    """RFC 3608."""

    SITE = a_site(service_route=("sip:edge1.example.com;lr", "sip:edge2.example.com;lr"))

    def test_5_the_200_names_the_way_of_the_clients_requests(self, registrar: Registering) -> None:
        registrar.start(self.SITE)
        both = ["<sip:edge1.example.com;lr>, <sip:edge2.example.com;lr>"]
        assert values(registrar.register(DESK), "Service-Route") == both
        assert values(registrar.register(cseq=2), "Service-Route") == both

    def test_6_3_who_is_not_registered_has_none(self, registrar: Registering) -> None:
        registrar.start(self.SITE)
        registrar.register(DESK)
        assert values(registrar.register(f"{DESK};expires=0", cseq=2), "Service-Route") == []
        assert values(registrar.register(f"{DESK};expires=5", cseq=3), "Service-Route") == []


class TestOutbound:
    """RFC 5626."""

    def test_6_a_flow_is_bound_by_instance_and_reg_id_and_the_client_told_so(
        self, registrar: Registering
    ) -> None:
        flow = registrar.connect("TCP")
        answer = registrar.register(f"{PHONE};{ONE};reg-id=1", "Supported: outbound", flow=flow)
        assert values(answer, "Require") == ["outbound"]
        [contact] = values(answer, "Contact")
        assert contact.endswith(';+sip.instance="<urn:uuid:1>";reg-id=1')
        assert registrar.location.lookup(ALICE, registrar.now)[0].flow == flow.name

    def test_6_a_reg_id_does_not_count_without_instance_or_support(self, registrar: Registering) -> None:
        for headers in ((f"{PHONE};reg-id=1", "Supported: outbound"), (f"{PHONE};{ONE};reg-id=1",)):
            answer = registrar.register(*headers, flow=registrar.connect("TCP"), call_id=str(len(headers)))
            assert values(answer, "Require") == []
        assert [one.reg_id for one in registrar.location.lookup(ALICE, registrar.now)] == [0]

    def test_6_a_new_flow_takes_the_place_of_the_old_one(self, registrar: Registering) -> None:
        """A phone that connects anew has another port in its Contact, and another Call-ID."""
        for number in (1, 2):
            contact = f"Contact: <sip:alice@192.168.1.5:{number}>;{ONE};reg-id=1"
            flow = registrar.connect("TCP", number)
            registrar.register(contact, "Supported: outbound", call_id=str(number), flow=flow)
        assert [one.flow for one in registrar.location.lookup(ALICE, registrar.now)] == ["tcp/0a.2"]

    def test_6_two_flows_of_one_contact_are_two_bindings(self, registrar: Registering) -> None:
        for number in (1, 2):
            flow = registrar.connect("TCP", number)
            registrar.register(
                f"{PHONE};{ONE};reg-id={number}", "Supported: outbound", flow=flow, call_id=str(number)
            )
        flows = {one.flow for one in registrar.location.lookup(ALICE, registrar.now)}
        assert flows == {"tcp/0a.1", "tcp/0a.2"}
        assert registrar.call() == ["sip:alice@192.168.1.5:5062;transport=tcp"]
        registrar.register(f"{PHONE};{ONE};reg-id=1;expires=0", "Supported: outbound", call_id="1", cseq=2)
        assert [one.reg_id for one in registrar.location.lookup(ALICE, registrar.now)] == [2]

    def test_6_one_contact_for_a_flow(self, registrar: Registering) -> None:
        two = (f"{PHONE};{ONE};reg-id=1", f"{DESK};{ONE};reg-id=2")
        assert registrar.register(*two, "Supported: outbound").status == 400

    def test_6_a_first_hop_that_keeps_no_flow_is_told_of(self, registrar: Registering) -> None:
        wanted = f"{PHONE};{ONE};reg-id=1"
        refused = registrar.register(wanted, "Supported: outbound, path", "Path: <sip:p1;lr>")
        assert refused.status == 439
        edge = registrar.register(wanted, "Supported: outbound, path", "Path: <sip:p1;lr;ob>")
        assert (edge.status, values(edge, "Require")) == (200, ["outbound"])

    def test_6_a_binding_ends_with_its_flow(self, registrar: Registering) -> None:
        flow = registrar.connect("TLS")
        registrar.register(f"{PHONE};{ONE};reg-id=1", "Supported: outbound", flow=flow)
        registrar.register(DESK, call_id="other")
        registrar.close(flow)
        registrar.compare()
        assert registrar.contacts() == ["sip:alice@192.0.2.4"]

    def test_5_3_two_phones_ring_at_once_and_each_over_one_flow(self, registrar: Registering) -> None:
        for number, instance in ((1, ONE), (2, ONE), (3, TWO)):
            contact = f"Contact: <sip:alice@192.168.1.{number}>;{instance};reg-id={number}"
            flow = registrar.connect("TCP", number)
            registrar.register(contact, "Supported: outbound", flow=flow, call_id=str(number))
        assert registrar.call() == ["sip:alice@192.168.1.2", "sip:alice@192.168.1.3"]


class TestGruu:
    """RFC 5627."""

    def test_5_2_who_supports_it_gets_both_gruus_of_each_instance(self, registrar: Registering) -> None:
        answer = registrar.register(f"{DESK};{ONE}", "Contact: <sip:alice@192.0.2.9>", "Supported: gruu")
        with_instance, without = values(answer, "Contact")
        assert parameter(with_instance, "pub-gruu") == PUBLIC
        assert parameter(with_instance, "temp-gruu").startswith("sip:tgruu.")
        assert "gruu" not in without

    def test_5_2_who_does_not_support_it_gets_none(self, registrar: Registering) -> None:
        assert "gruu" not in values(registrar.register(f"{DESK};{ONE}"), "Contact")[0]
        registrar.start(a_site(gruu=False))
        answer = registrar.register(f"{DESK};{ONE}", "Supported: gruu", cseq=2)
        assert "gruu" not in values(answer, "Contact")[0]

    def test_5_1_a_contact_that_is_a_gruu_is_refused(self, registrar: Registering) -> None:
        answer = registrar.register(f"{DESK};{ONE}", "Supported: gruu")
        for own in (PUBLIC, gruu(answer)):
            assert registrar.register(f"Contact: <{own}>", cseq=2).status == 403

    def test_6_1_a_gruu_leads_to_its_instance(self, registrar: Registering) -> None:
        answer = registrar.register(f"{DESK};{ONE}", "Supported: gruu")
        registrar.register(f"Contact: <sip:alice@192.0.2.9>;{TWO}", call_id="two")
        for uri in (PUBLIC, gruu(answer)):
            assert registrar.call(uri) == ["sip:alice@192.0.2.4"]
        assert len(registrar.call()) == 2  # type: ignore[arg-type]

    def test_5_1_every_register_gives_another_temporary_gruu_and_all_are_good(
        self, registrar: Registering
    ) -> None:
        given = {
            gruu(registrar.register(f"{DESK};{ONE}", "Supported: gruu", cseq=cseq)) for cseq in range(1, 6)
        }
        assert len(given) == 5
        registrar.now += 3000
        for uri in given:
            assert registrar.call(uri) == ["sip:alice@192.0.2.4"]

    def test_5_1_they_follow_the_instance_to_another_contact(self, registrar: Registering) -> None:
        given = gruu(registrar.register(f"{DESK};{ONE};expires=60", "Supported: gruu"))
        registrar.now += 30
        registrar.register(f"Contact: <sip:alice@192.0.2.9>;{ONE}", "Supported: gruu", cseq=2)
        assert registrar.call(given) == ["sip:alice@192.0.2.9"]
        registrar.now += 60
        assert registrar.call(given) == ["sip:alice@192.0.2.9"]

    def test_5_1_another_call_id_ends_them_and_the_public_one_stays(self, registrar: Registering) -> None:
        given = gruu(registrar.register(f"{DESK};{ONE}", "Supported: gruu"))
        registrar.register(f"{DESK};{ONE}", "Supported: gruu", call_id="after-a-reboot")
        assert registrar.call(given) == 404
        assert registrar.call(PUBLIC) == ["sip:alice@192.0.2.4"]

    def test_5_3_they_end_with_the_registration_and_the_public_one_waits(
        self, registrar: Registering
    ) -> None:
        given = gruu(registrar.register(f"{DESK};{ONE}", "Supported: gruu"))
        registrar.register(f"{DESK};{ONE};expires=0", cseq=2)
        assert (registrar.call(given), registrar.call(PUBLIC)) == (404, 480)
        registrar.now += 10
        registrar.register(f"{DESK};{ONE}", cseq=3)
        assert (registrar.call(given), registrar.call(PUBLIC)) == (404, ["sip:alice@192.0.2.4"])

    def test_5_3_they_outlive_a_restart_and_are_read_by_every_node(self, registrar: Registering) -> None:
        given = gruu(registrar.register(f"{DESK};{ONE}", "Supported: gruu"))
        registrar.start(a_site())
        assert registrar.call(given) == ["sip:alice@192.0.2.4"]

    def test_5_4_an_alias_gives_gruus_of_the_address_of_record(self, registrar: Registering) -> None:
        domain = Domain("example.com", authenticate=(), aliases=("example.org",))
        registrar.start(Site({"example.com": domain}, {}))
        answer = registrar.register(
            f"{DESK};{ONE}", "Supported: gruu", uri="sip:example.org", to="<sip:alice@example.org>"
        )
        assert gruu(answer, "pub-gruu") == PUBLIC
        assert registrar.call(PUBLIC.replace(".com", ".org")) == ["sip:alice@192.0.2.4"]
        assert registrar.call(gruu(answer).replace(".com", ".org")) == ["sip:alice@192.0.2.4"]

    def test_6_1_the_flows_of_the_instance_are_tried_the_newest_first(self, registrar: Registering) -> None:
        for number in (1, 2):
            contact = f"Contact: <sip:alice@192.168.1.{number}>;{ONE};reg-id={number}"
            answer = registrar.register(
                contact,
                "Supported: outbound, gruu",
                flow=registrar.connect("TCP", number),
                call_id=str(number),
            )
        for uri in (PUBLIC, gruu(answer), gruu(answer, contact=1)):
            assert registrar.call(uri) == ["sip:alice@192.168.1.2"]
