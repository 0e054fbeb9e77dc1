"""The four machines, read next to the figures of RFC 3261 17 and RFC 6026."""

import pytest

from oneproxy.engine.machines import (
    ACCEPTED,
    ACK,
    CALLING,
    COMPLETED,
    CONFIRMED,
    FAILED,
    FAILURE,
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    NOTHING,
    PASS,
    PROCEEDING,
    PROVISIONAL,
    REPEAT,
    RESEND,
    SEND_ACK,
    SUCCESS,
    TERMINATED,
    TIMED_OUT,
    TIMER_END,
    TIMER_RESEND,
    TIMER_TIMEOUT,
    TRYING,
    UNREACHABLE,
    Table,
)

CLIENT_INPUTS = (PROVISIONAL, SUCCESS, FAILURE, TIMER_RESEND, TIMER_TIMEOUT, TIMER_END, UNREACHABLE)
SERVER_INPUTS = (PROVISIONAL, SUCCESS, FAILURE, REPEAT, ACK, TIMER_RESEND, TIMER_TIMEOUT, TIMER_END)


def row(table: Table, state: int, inputs: tuple[int, ...]) -> list[tuple[int, int] | None]:
    return [table.get((state, given)) for given in inputs]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            CALLING,
            [
                (PROCEEDING, PASS),
                (ACCEPTED, PASS),
                (COMPLETED, PASS | SEND_ACK),
                (CALLING, RESEND),
                (TERMINATED, TIMED_OUT),
                None,
                (TERMINATED, FAILED),
            ],
        ),
        (
            PROCEEDING,
            [
                (PROCEEDING, PASS),
                (ACCEPTED, PASS),
                (COMPLETED, PASS | SEND_ACK),
                None,
                None,
                None,
                # Not in the figure: a connection that its peer can't come back on has broken.
                (TERMINATED, FAILED),
            ],
        ),
        (
            COMPLETED,
            [
                None,
                None,
                (COMPLETED, SEND_ACK),
                None,
                None,
                (TERMINATED, NOTHING),
                (TERMINATED, NOTHING),
            ],
        ),
        (ACCEPTED, [None, (ACCEPTED, PASS), None, None, None, (TERMINATED, NOTHING), None]),
    ],
)
def test_the_invite_client_is_figure_5_with_rfc_6026(
    state: int, expected: list[tuple[int, int] | None]
) -> None:
    assert row(INVITE_CLIENT, state, CLIENT_INPUTS) == expected


@pytest.mark.parametrize("state", [TRYING, PROCEEDING])
def test_the_non_invite_client_waits_as_in_figure_6(state: int) -> None:
    assert row(NON_INVITE_CLIENT, state, CLIENT_INPUTS) == [
        (PROCEEDING, PASS),
        (COMPLETED, PASS),
        (COMPLETED, PASS),
        (state, RESEND),
        (TERMINATED, TIMED_OUT),
        None,
        (TERMINATED, FAILED),
    ]


def test_the_completed_non_invite_client_absorbs_until_timer_k() -> None:
    assert row(NON_INVITE_CLIENT, COMPLETED, CLIENT_INPUTS) == [
        None,
        None,
        None,
        None,
        None,
        (TERMINATED, NOTHING),
        None,
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            PROCEEDING,
            [
                (PROCEEDING, PASS),
                (ACCEPTED, PASS),
                (COMPLETED, PASS),
                (PROCEEDING, RESEND),
                None,
                None,
                None,
                None,
            ],
        ),
        (
            COMPLETED,
            [
                None,
                None,
                None,
                (COMPLETED, RESEND),
                (CONFIRMED, NOTHING),
                (COMPLETED, RESEND),
                (TERMINATED, NOTHING),
                None,
            ],
        ),
        (CONFIRMED, [None, None, None, None, None, None, None, (TERMINATED, NOTHING)]),
        (ACCEPTED, [None, (ACCEPTED, PASS), None, None, None, None, None, (TERMINATED, NOTHING)]),
    ],
)
def test_the_invite_server_is_figure_7_with_rfc_6026(
    state: int, expected: list[tuple[int, int] | None]
) -> None:
    assert row(INVITE_SERVER, state, SERVER_INPUTS) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            TRYING,
            [(PROCEEDING, PASS), (COMPLETED, PASS), (COMPLETED, PASS), None, None, None, None, None],
        ),
        (
            PROCEEDING,
            [
                (PROCEEDING, PASS),
                (COMPLETED, PASS),
                (COMPLETED, PASS),
                (PROCEEDING, RESEND),
                None,
                None,
                None,
                None,
            ],
        ),
        (
            COMPLETED,
            [None, None, None, (COMPLETED, RESEND), None, None, None, (TERMINATED, NOTHING)],
        ),
    ],
)
def test_the_non_invite_server_is_figure_8(state: int, expected: list[tuple[int, int] | None]) -> None:
    assert row(NON_INVITE_SERVER, state, SERVER_INPUTS) == expected


@pytest.mark.parametrize("table", [INVITE_CLIENT, NON_INVITE_CLIENT, INVITE_SERVER, NON_INVITE_SERVER])
def test_nothing_leads_out_of_terminated(table: Table) -> None:
    assert [state for state, _ in table if state == TERMINATED] == []
