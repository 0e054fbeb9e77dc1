"""The codes of faults."""

from oneproxy.sip.malformed import REASONS, Malformed


def test_every_fault_has_a_code_of_its_own_and_a_reason_phrase() -> None:
    assert set(REASONS) == set(Malformed)
    assert len({fault.value for fault in Malformed}) == len(Malformed)
    assert all(fault.value == fault.value.lower() for fault in Malformed)
    assert all(reason.isascii() and reason.isprintable() for reason in REASONS.values())
