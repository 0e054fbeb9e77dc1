"""The states of a registration, and what leads from one to the other.

What is not in the table is ignored: an answer to a request that nobody waits for, a second stop.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a registration stands."""

    STOPPED = "stopped"
    WAITING = "waiting"
    REGISTERING = "registering"
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    #: Stopped while a request is under way: what it bound is taken back when its answer is there.
    ENDING = "ending"
    WITHDRAWING = "withdrawing"
    #: Started again while it was withdrawn.
    RETURNING = "returning"


class Input(StrEnum):
    """What happens to it."""

    START = "start"
    DUE = "due"
    OK = "ok"
    #: The registrar wants the request once more, with something changed.
    AGAIN = "again"
    FAILED = "failed"
    STOP = "stop"


class Action(StrEnum):
    """What is done then."""

    NOTHING = "nothing"
    SPREAD = "spread"
    SEND = "send"
    KEEP = "keep"
    BACK_OFF = "back-off"
    WITHDRAW = "withdraw"
    FORGET = "forget"


_S, _I, _A = State, Input, Action

TRANSITIONS: Final = {
    (_S.STOPPED, _I.START): (_S.WAITING, _A.SPREAD),
    (_S.WAITING, _I.DUE): (_S.REGISTERING, _A.SEND),
    (_S.WAITING, _I.STOP): (_S.WITHDRAWING, _A.WITHDRAW),
    (_S.REGISTERING, _I.OK): (_S.REGISTERED, _A.KEEP),
    (_S.REGISTERING, _I.AGAIN): (_S.REGISTERING, _A.SEND),
    (_S.REGISTERING, _I.FAILED): (_S.WAITING, _A.BACK_OFF),
    (_S.REGISTERING, _I.STOP): (_S.ENDING, _A.NOTHING),
    (_S.REGISTERED, _I.DUE): (_S.REFRESHING, _A.SEND),
    (_S.REGISTERED, _I.STOP): (_S.WITHDRAWING, _A.WITHDRAW),
    (_S.REFRESHING, _I.OK): (_S.REGISTERED, _A.KEEP),
    (_S.REFRESHING, _I.AGAIN): (_S.REFRESHING, _A.SEND),
    (_S.REFRESHING, _I.FAILED): (_S.WAITING, _A.BACK_OFF),
    (_S.REFRESHING, _I.STOP): (_S.ENDING, _A.NOTHING),
    (_S.ENDING, _I.START): (_S.REGISTERING, _A.NOTHING),
    (_S.ENDING, _I.OK): (_S.WITHDRAWING, _A.WITHDRAW),
    (_S.ENDING, _I.AGAIN): (_S.WITHDRAWING, _A.WITHDRAW),
    (_S.ENDING, _I.FAILED): (_S.WITHDRAWING, _A.WITHDRAW),
    (_S.WITHDRAWING, _I.OK): (_S.STOPPED, _A.FORGET),
    (_S.WITHDRAWING, _I.AGAIN): (_S.WITHDRAWING, _A.SEND),
    (_S.WITHDRAWING, _I.FAILED): (_S.STOPPED, _A.FORGET),
    (_S.WITHDRAWING, _I.START): (_S.RETURNING, _A.NOTHING),
    (_S.RETURNING, _I.OK): (_S.WAITING, _A.SPREAD),
    (_S.RETURNING, _I.AGAIN): (_S.RETURNING, _A.SEND),
    (_S.RETURNING, _I.FAILED): (_S.WAITING, _A.SPREAD),
    (_S.RETURNING, _I.STOP): (_S.WITHDRAWING, _A.NOTHING),
}
