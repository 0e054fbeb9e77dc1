"""GRUUs: made, read, and good for as long as RFC 5627 says."""

import pytest

from asking import NOW, uri_of
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.gruu import Gruus, of_epoch, of_instance, public
from oneproxy.sip.uri import same_uri

AOR = "alice@example.com"
UUID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
GRUUS = Gruus(b"farm")


def bound(
    contact: str = "sip:alice@192.0.2.4",
    instance: str = f"<{UUID}>",
    call_id: str = "c1",
    since: float = NOW,
    reg_id: int = 0,
) -> Binding:
    return Binding(contact, NOW + 60, 1000, call_id, 1, "udp:h", since, (), "", instance, reg_id)


def read(text: str, gruus: Gruus = GRUUS, host: str = "example.com") -> tuple[str, bytes] | None:
    return gruus.read(uri_of(text), host)


def found(text: str, *bindings: Binding) -> list[Binding]:
    owner = read(text)
    assert owner is not None
    return of_epoch(bindings, owner[1])


def test_a_public_gruu_is_the_address_with_the_instance() -> None:
    assert public(AOR, bound()) == f"sip:alice@example.com;gr={UUID}"


def test_who_registers_a_sips_contact_gets_sips_gruus() -> None:
    secure = bound("SIPS:alice@192.0.2.4")
    assert public(AOR, secure).startswith("sips:")
    assert GRUUS.temporary(AOR, secure).startswith("sips:")


@pytest.mark.parametrize("instance", [f"<{UUID}>", '<a";b=c>', "no brackets", "<%41>", "<>", "<Ü>"])
def test_a_public_gruu_names_its_instance_whatever_stands_in_it(instance: str) -> None:
    mine, other = bound(instance=instance), bound(instance="<other>")
    uri = uri_of(public(AOR, mine))
    name = uri.params["gr"]
    assert name is not None
    assert of_instance([mine, other], name) == [mine]


def test_instances_are_named_without_regard_to_case() -> None:
    assert of_instance([bound()], UUID.upper()) == [bound()]
    assert same_uri(uri_of(public(AOR, bound())), uri_of(f"sip:alice@example.com;gr={UUID.upper()}"))


@pytest.mark.parametrize("aor", [AOR, "a@[2001:db8::1]", f"{'x' * 400}@h", "j%C3%A4s@example.com"])
def test_a_temporary_gruu_leads_to_its_owner_and_shows_nothing_of_him(aor: str) -> None:
    text = GRUUS.temporary(aor, bound())
    user, _, host = aor.rpartition("@")
    assert text.startswith("sip:tgruu.")
    assert text.endswith(f"@{host};gr")
    assert user not in text.partition("@")[0][len("sip:tgruu.") :] or len(user) == 1
    owner = read(text, host=host)
    assert owner is not None
    assert owner[0] == aor


def test_no_two_temporary_gruus_are_alike_and_their_length_tells_no_name() -> None:
    texts = [GRUUS.temporary(aor, bound()) for aor in (AOR, AOR, "bob@example.com")]
    assert len(set(texts)) == 3
    assert len({len(text) for text in texts}) == 1


def test_any_node_of_the_farm_reads_it_and_no_other() -> None:
    text = GRUUS.temporary(AOR, bound())
    assert read(text, Gruus(b"farm")) == read(text)
    assert read(text, Gruus(b"another farm")) is None


def test_it_is_of_its_domain_alone() -> None:
    assert read(GRUUS.temporary(AOR, bound()), host="example.org") is None


@pytest.mark.parametrize("spoiled", ["x", "", "AAAA", "Ä", "=", "A" * 64, "A" * 4000])
def test_what_was_made_up_or_spoiled_is_nobodys(spoiled: str) -> None:
    text = GRUUS.temporary(AOR, bound())
    assert (
        GRUUS.read(uri_of(f"sip:tgruu.{spoiled or '.'}@example.com;gr".replace("Ä", "%C4")), "example.com")
        is None
    )
    changed = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
    assert read(changed) is None
    assert read("sip:alice@example.com;gr") is None
    assert read("sip:example.com;gr") is None


def test_it_is_good_while_the_registration_lasts_under_its_call_id() -> None:
    """RFC 5627 5.1, 5.3."""
    text = GRUUS.temporary(AOR, bound())
    refreshed = bound()
    assert found(text, refreshed) == [refreshed]
    assert found(text, bound(contact="sip:alice@192.0.2.9")) != []
    assert found(text, bound(call_id="c2")) == []
    assert found(text, bound(since=NOW + 0.5)) == []
    assert found(text, bound(instance="<other>")) == []
    assert found(text) == []


def test_it_leads_to_every_flow_of_its_instance() -> None:
    first, second = bound(reg_id=1), bound(reg_id=2, call_id="c2", since=NOW + 1)
    assert found(GRUUS.temporary(AOR, first), first, second, bound(instance="<o>")) == [first, second]
    assert found(GRUUS.temporary(AOR, second), first, second) == [first, second]
