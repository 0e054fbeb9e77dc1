"""The four transaction machines of RFC 3261 17, with RFC 6026, as tables.

A table maps (state, input) to (next state, what to do). What is not in a table is
ignored. Each is meant to be read next to its figure in the RFC.

The rules of RFC 4320 for requests other than INVITE are in what the engine feeds in:
it never passes a provisional response on, sends 100 only late, and never sends 408.
"""

from typing import Final

# States. Plain integers: these are compared for every message.
CALLING: Final = 1
TRYING: Final = 2
PROCEEDING: Final = 3
COMPLETED: Final = 4
CONFIRMED: Final = 5
ACCEPTED: Final = 6
TERMINATED: Final = 7

STATES: Final = ("", "calling", "trying", "proceeding", "completed", "confirmed", "accepted", "terminated")

# Inputs.
PROVISIONAL: Final = 1  # a 1xx: received by a client, sent by the proxy on a server
SUCCESS: Final = 2  # a 2xx
FAILURE: Final = 3  # a 3xx to 6xx
REPEAT: Final = 4  # the request came again
ACK: Final = 5
TIMER_RESEND: Final = 6  # A, E, G
TIMER_TIMEOUT: Final = 7  # B, F, H
TIMER_END: Final = 8  # D, K, I, J, L, M
UNREACHABLE: Final = 9  # the transport could not send

# What to do: flags.
NOTHING: Final = 0
PASS: Final = 1  # hand the response on: to the proxy core, or to the peer
RESEND: Final = 2  # send the last message once more
SEND_ACK: Final = 4  # acknowledge a final response that is no 2xx
TIMED_OUT: Final = 8  # tell the core that no answer came
FAILED: Final = 16  # tell the core that the peer can't be reached

Table = dict[tuple[int, int], tuple[int, int]]

#: Figure 5, with RFC 6026 8.7.
INVITE_CLIENT: Final[Table] = {
    (CALLING, TIMER_RESEND): (CALLING, RESEND),
    (CALLING, TIMER_TIMEOUT): (TERMINATED, TIMED_OUT),
    (CALLING, UNREACHABLE): (TERMINATED, FAILED),
    (CALLING, PROVISIONAL): (PROCEEDING, PASS),
    (CALLING, SUCCESS): (ACCEPTED, PASS),
    (CALLING, FAILURE): (COMPLETED, PASS | SEND_ACK),
    (PROCEEDING, UNREACHABLE): (TERMINATED, FAILED),  # not in the RFC: a connection that broke
    (PROCEEDING, PROVISIONAL): (PROCEEDING, PASS),
    (PROCEEDING, SUCCESS): (ACCEPTED, PASS),
    (PROCEEDING, FAILURE): (COMPLETED, PASS | SEND_ACK),
    (COMPLETED, FAILURE): (COMPLETED, SEND_ACK),
    (COMPLETED, UNREACHABLE): (TERMINATED, NOTHING),
    (COMPLETED, TIMER_END): (TERMINATED, NOTHING),
    (ACCEPTED, SUCCESS): (ACCEPTED, PASS),
    (ACCEPTED, TIMER_END): (TERMINATED, NOTHING),
}

#: Figure 6.
NON_INVITE_CLIENT: Final[Table] = {
    (TRYING, TIMER_RESEND): (TRYING, RESEND),
    (TRYING, TIMER_TIMEOUT): (TERMINATED, TIMED_OUT),
    (TRYING, UNREACHABLE): (TERMINATED, FAILED),
    (TRYING, PROVISIONAL): (PROCEEDING, PASS),
    (TRYING, SUCCESS): (COMPLETED, PASS),
    (TRYING, FAILURE): (COMPLETED, PASS),
    (PROCEEDING, TIMER_RESEND): (PROCEEDING, RESEND),
    (PROCEEDING, TIMER_TIMEOUT): (TERMINATED, TIMED_OUT),
    (PROCEEDING, UNREACHABLE): (TERMINATED, FAILED),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, PASS),
    (PROCEEDING, SUCCESS): (COMPLETED, PASS),
    (PROCEEDING, FAILURE): (COMPLETED, PASS),
    (COMPLETED, TIMER_END): (TERMINATED, NOTHING),
}

#: Figure 7, with RFC 6026 8.5: a 2xx does not end the machine but lets it absorb the
#: retransmissions of the INVITE, while further 2xx pass.
INVITE_SERVER: Final[Table] = {
    (PROCEEDING, REPEAT): (PROCEEDING, RESEND),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, PASS),
    (PROCEEDING, SUCCESS): (ACCEPTED, PASS),
    (PROCEEDING, FAILURE): (COMPLETED, PASS),
    (COMPLETED, REPEAT): (COMPLETED, RESEND),
    (COMPLETED, TIMER_RESEND): (COMPLETED, RESEND),
    (COMPLETED, TIMER_TIMEOUT): (TERMINATED, NOTHING),
    (COMPLETED, ACK): (CONFIRMED, NOTHING),
    (CONFIRMED, TIMER_END): (TERMINATED, NOTHING),
    (ACCEPTED, SUCCESS): (ACCEPTED, PASS),
    (ACCEPTED, TIMER_END): (TERMINATED, NOTHING),
}

#: Figure 8.
NON_INVITE_SERVER: Final[Table] = {
    (TRYING, PROVISIONAL): (PROCEEDING, PASS),
    (TRYING, SUCCESS): (COMPLETED, PASS),
    (TRYING, FAILURE): (COMPLETED, PASS),
    (PROCEEDING, REPEAT): (PROCEEDING, RESEND),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, PASS),
    (PROCEEDING, SUCCESS): (COMPLETED, PASS),
    (PROCEEDING, FAILURE): (COMPLETED, PASS),
    (COMPLETED, REPEAT): (COMPLETED, RESEND),
    (COMPLETED, TIMER_END): (TERMINATED, NOTHING),
}
