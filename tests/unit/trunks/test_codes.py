"""What each final status says."""

import pytest

from oneproxy.trunks.codes import Verdict, code_table, judge
from trunking import provider

DEFAULT = code_table(provider())


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 513, 580, 599])
def test_a_gateway_has_failed_with_408_and_5xx(status: int) -> None:
    assert judge(DEFAULT, status, None, False) is Verdict.FAILED


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 480, 486, 487, 488, 501, 505, 600, 603, 699])
def test_all_else_is_the_answer_to_the_call(status: int) -> None:
    assert judge(DEFAULT, status, None, False) is Verdict.FINAL


def test_a_408_after_the_callee_was_reached_is_his() -> None:
    assert judge(DEFAULT, 408, None, True) is Verdict.FINAL
    assert judge(DEFAULT, 408, "no-answer", True) is Verdict.FINAL
    assert judge(DEFAULT, 408, "no-answer", False) is Verdict.FAILED
    assert judge(DEFAULT, 503, None, True) is Verdict.FAILED


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("timeout", Verdict.FAILED),
        ("transport", Verdict.FAILED),
        ("name", Verdict.FAILED),
        ("full", Verdict.OURS),
        ("breadth", Verdict.OURS),
        ("loop", Verdict.OURS),
    ],
)
def test_faults_are_the_gateways_or_ours(error: str, verdict: Verdict) -> None:
    assert judge(DEFAULT, 503, error, False) is verdict


def test_the_site_judges_otherwise() -> None:
    codes = code_table(provider(failed_codes=(403, 404), next_codes=(486, 502), final_codes=(503, 408)))
    verdicts = [judge(codes, status, None, False).value for status in (403, 404, 486, 502, 503, 408, 500)]
    assert verdicts == ["failed", "failed", "next", "next", "final", "final", "failed"]


def test_a_gateway_that_was_sent_nothing_since_it_wants_less_has_failed_nobody() -> None:
    for error in ("oc", "retry-after"):
        assert judge(DEFAULT, 503, error, False) is Verdict.SLOWED
