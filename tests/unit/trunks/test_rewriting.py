"""What is done to numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneproxy.site.model import Rewrite
from oneproxy.trunks.rewriting import Form, Rewriter, make_rewriter


@pytest.mark.parametrize(
    ("rewrite", "number", "after"),
    [
        (Rewrite(1), "+351912", "351912"),
        (Rewrite(1, "00"), "+351912", "00351912"),
        (Rewrite(9), "123", ""),
        (Rewrite(prepend="9"), "123", "9123"),
        (Rewrite(pattern="0", replace="+351"), "0912", "+351912"),
        (Rewrite(pattern="^0", replace=""), "912", "912"),
        (Rewrite(pattern="12", replace="x"), "912", "912"),  # at the beginning alone
        (Rewrite(pattern=r"\+351(\d{3})(\d+)$", replace=r"\2-\1"), "+351912345", "345-912"),
        (Rewrite(pattern=r"(00)?(44)", replace=r"\1|\2|"), "4479", "|44|79"),
        (Rewrite(1, "8", "9", "99"), "91", "891"),
        (Rewrite(pattern=r"\d+", replace="1"), "9" * 65, "9" * 65),
    ],
)
def test_a_number_is_rewritten(rewrite: Rewrite, number: str, after: str) -> None:
    rewriter = Rewriter(rewrite)
    assert rewriter.apply(number) == after
    explained = rewriter.explain(number)
    assert explained[-1][1] == after


def test_an_explanation_has_a_line_for_each_step() -> None:
    rewriter = Rewriter(Rewrite(1, "8", "9", "99"))
    assert rewriter.explain("91") == [("pattern 9 -> 99", "991"), ("strip 1", "91"), ("prepend 8", "891")]
    assert rewriter.explain("1")[0] == ("pattern 9 does not match", "1")
    assert rewriter.explain("9" * 65)[0] == ("pattern 9 left out: too long", "9" * 65)


def test_where_nothing_is_to_be_done_there_is_no_rewriter() -> None:
    assert make_rewriter(Rewrite()) is None
    assert make_rewriter(Rewrite(strip=1)) is not None


@pytest.mark.parametrize(
    ("form", "country", "number", "written"),
    [
        ("", "", "+351912345678", "+351912345678"),
        ("e164", "", "+351912345678", "+351912345678"),
        ("digits", "", "+351912345678", "351912345678"),
        ("international", "PT", "+351912345678", "00351912345678"),
        ("international", "US", "+351912345678", "011351912345678"),
        ("national", "PT", "+351912345678", "912345678"),
        ("national", "PT", "+447911123456", "00447911123456"),
        ("national", "DE", "+49301234567", "0301234567"),
        ("digits", "", "112", "112"),
        ("national", "PT", "*21", "*21"),
    ],
)
def test_a_number_is_written_in_the_form_of_the_gateway(
    form: str, country: str, number: str, written: str
) -> None:
    assert Form(form, country).write(number) == written
    assert Form(form, country).read(written) == number
    assert Form(form, country).explain(number) == ([] if number == written else [(f"form {form}", written)])


@pytest.mark.parametrize(
    ("form", "country", "came", "number"),
    [
        ("", "PT", "912345678", "+351912345678"),
        ("", "PT", "00447911123456", "+447911123456"),
        ("", "", "912345678", "912345678"),
        ("digits", "", "+351912345678", "+351912345678"),
        ("digits", "PT", "112", "112"),
        ("digits", "", "alice", "alice"),
        ("international", "", "00351912345678", "+351912345678"),
        ("international", "PT", "912345678", "+351912345678"),
    ],
)
def test_a_number_that_a_gateway_sends_is_read(form: str, country: str, came: str, number: str) -> None:
    assert Form(form, country).read(came) == number


@given(
    st.sampled_from(["", "e164", "digits", "national", "international"]),
    st.sampled_from(["PT", "DE", "US", "IT", "GB"]),
    st.sampled_from(["+35121", "+4930", "+4420", "+1201", "+3906"]).flatmap(
        lambda begins: st.from_regex(r"[2-9][0-9]{6}", fullmatch=True).map(lambda rest: begins + rest)
    ),
)
def test_what_is_written_for_a_gateway_is_read_back(form: str, country: str, number: str) -> None:
    one = Form(form, country)
    written = one.write(number)
    # A number that its own country would not have is written and not read: it is nobody's.
    assert one.read(written) in (number, written)
    if form in ("digits", "international", "e164", ""):
        assert one.read(written) == number
