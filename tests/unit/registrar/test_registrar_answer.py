"""The 200 to a REGISTER."""

import pytest

from asking import NOW, shown
from oneproxy.registrar.answer import accept, format_q
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.request import Wanted


def wanted() -> Wanted:
    return Wanted("alice@example.com", "c1", 1, "udp:192.0.2.7:5062")


def test_it_lists_every_binding_with_the_seconds_it_has_left_and_the_date() -> None:
    bindings = [
        Binding("sip:alice@192.0.2.4", NOW + 3600, 1000, "c", 1, "s", NOW),
        Binding("sip:alice@192.0.2.5;x=y", NOW + 59.6, 500, "c", 1, "s", NOW, (), "", "<urn:uuid:1>", 3),
    ]
    assert shown(accept(wanted(), bindings, NOW)) == (
        200,
        "OK",
        (
            "Contact: <sip:alice@192.0.2.4>;expires=3600",
            'Contact: <sip:alice@192.0.2.5;x=y>;expires=60;q=0.5;+sip.instance="<urn:uuid:1>";reg-id=3',
            "Date: Tue, 14 Nov 2023 22:13:20 GMT",
        ),
    )


def test_without_bindings_it_has_no_contact() -> None:
    assert shown(accept(wanted(), [], NOW))[2] == ("Date: Tue, 14 Nov 2023 22:13:20 GMT",)


@pytest.mark.parametrize("shows_path", [True, False])
def test_the_path_is_repeated_for_who_supports_it(shows_path: bool) -> None:
    asked = wanted()
    asked.path = ("<sip:first;lr>", "<sip:second;lr>")
    asked.shows_path = shows_path
    assert ("Path: <sip:first;lr>, <sip:second;lr>" in shown(accept(asked, [], NOW))[2]) is shows_path


def test_a_flow_that_was_bound_is_told_of() -> None:
    asked = wanted()
    asked.outbound = True
    assert shown(accept(asked, [], NOW))[2][0] == "Require: outbound"


@pytest.mark.parametrize(
    ("q", "text"), [(1000, "1"), (0, "0"), (500, "0.5"), (50, "0.05"), (1, "0.001"), (999, "0.999")]
)
def test_a_preference_is_written_as_a_qvalue(q: int, text: str) -> None:
    assert format_q(q) == text
