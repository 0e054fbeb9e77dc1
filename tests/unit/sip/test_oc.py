"""The overload control parameters of a Via value (RFC 7339 4, 9)."""

import pytest

from oneproxy.sip.oc import asks, read_feedback, replaced, without_values

SENT = "SIP/2.0/UDP 192.0.2.1:5060"
BRANCH = ";branch=z9hG4bK1"


def read(params: str) -> tuple[int, float, float] | None:
    """The parts of what a Via with these parameters says."""
    feedback = read_feedback(f"{SENT}{params}{BRANCH}")
    return None if feedback is None else (feedback.loss_percent, feedback.valid_s, feedback.seq)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (';oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782', (20, 0.5, 1282321615.782)),
        (";oc=20;oc-seq=7.5", (20, 0.5, 7.5)),  # 4.3: 500 ms where it does not say
        ("; OC = 100 ; oc-validity = 60000 ; oc-seq=7", (100, 60.0, 7.0)),
        (";oc=0;oc-validity=0;oc-seq=7.0", (0, 0.0, 7.0)),
        (";oc=5", (5, 0.5, 0.0)),
        (";oc=5;oc-algo=loss", (5, 0.5, 0.0)),
    ],
)
def test_what_a_server_says_is_read(params: str, said: tuple[int, float, float]) -> None:
    assert read(params) == said


@pytest.mark.parametrize(
    "params",
    [
        "",
        ';oc;oc-algo="loss"',
        ";oc=",
        ";oc=101",
        ";oc=-1",
        ";oc=20.5",
        ';oc=20;oc-algo="rate"',
        ";oc=20;oc-algo",
        ";oc=20;oc-validity",
        ";oc=20;oc-validity=soon",
        ";oc=20;oc-seq=now",
        ";oc=20;oc-seq=1.x",
        ";oc=20;oc-seq=1234567890123.5",
        ";oc=20;oc=30",
    ],
)
def test_what_says_nothing_or_can_not_be_read_is_nothing(params: str) -> None:
    assert read(params) is None


def test_the_first_value_of_a_list_is_read() -> None:
    assert read_feedback(f"{SENT}{BRANCH}, {SENT};oc=20{BRANCH}") is None
    assert read_feedback(f'{SENT};oc=30;oc-algo="loss"{BRANCH}, {SENT};oc=20{BRANCH}') is not None


@pytest.mark.parametrize(
    ("params", "whether"),
    [
        (';oc;oc-algo="loss"', True),
        (';oc;oc-algo="rate,loss"', True),
        (";oc", True),
        (';oc;oc-algo="rate"', False),
        (';oc-algo="loss"', False),
        (";ocelot", False),
        ("", False),
    ],
)
def test_who_asks_and_does_as_it_is_told_by_loss_says_so(params: str, whether: bool) -> None:
    assert asks(f"{SENT}{params}{BRANCH}") is whether


def test_its_parameters_are_replaced_and_the_rest_stays_as_it_is_written() -> None:
    value = f'{SENT} ;rport=5070;oc;oc-algo="loss,A";x="a;b,c"{BRANCH}, {SENT};oc;branch=z9hG4bK0'
    assert replaced(value, ";oc=7") == (
        f'{SENT} ;rport=5070;x="a;b,c"{BRANCH};oc=7, {SENT};oc;branch=z9hG4bK0'
    )


def test_values_are_taken_out_of_every_via_and_who_asks_finds_what_he_wrote() -> None:
    value = (
        f'{SENT};oc=30;oc-algo="loss";oc-validity=500;oc-seq=1.2{BRANCH}, {SENT};oc;oc-algo="loss"{BRANCH}'
    )
    assert without_values(value) == (f'{SENT};oc;oc-algo="loss"{BRANCH}, {SENT};oc;oc-algo="loss"{BRANCH}')
