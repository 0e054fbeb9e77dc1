"""Header fields that the site may add and leave out."""

import pytest

from oneproxy.site.header_rules import check_line, check_name


@pytest.mark.parametrize(
    "line",
    [
        "X-A: 1",
        "Diversion: <sip:{called}@{domain}>",
        "P-Asserted-Identity: <sip:+351@x>",
        "Subject: ol\u00e1",
    ],
)
def test_a_line_may_be_added(line: str) -> None:
    check_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "X-A",
        "X-A:",
        "X-A: ",
        "X A: 1",
        "X-A : 1",
        "X-A: 1\r\nVia: 2",
        "X-A: {nonce}",
        "X-A: {",
        "X-A: }called{",
        "X-A: {{called}}",
        "FROM: <sip:a@b>",
        "Content-Length: 0",
        "X: 1",
        f"X-A: {'1' * 1024}",
    ],
)
def test_a_line_may_not_be_added(line: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_line(line)


@pytest.mark.parametrize("name", ["", "v", "Via", "call-ID", "Route", "X Y", "X:", "\u00e9t\u00e9"])
def test_a_field_may_not_be_left_out(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_name(name)


def test_a_field_may_be_left_out() -> None:
    check_name("P-Asserted-Identity")
