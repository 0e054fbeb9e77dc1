"""The order of the steps."""

import pytest

from asking import FLOW, NOW, invite, shown
from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Outcome, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.policy.order import Order


class Says:
    """A step that always says the same."""

    def __init__(self, decision: Decision | None) -> None:
        self.decision = decision
        self.asked = 0

    def decide(self, ask: Ask) -> Decision | None:
        self.asked += 1
        return self.decision


class Listens(Says):
    """One that wants to know of closed connections."""

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[tuple[float, Flow]] = []

    def closed(self, now: float, flow: Flow) -> None:
        self.told.append((now, flow))


def failed() -> Ask:
    """An ask whose one target was busy."""
    ask = invite()
    ask.outcomes.append(Outcome(Target("sip:bob@192.0.2.4"), 486, None, NOW, NOW + 1, NOW + 2))
    return ask


def test_the_first_step_that_decides_is_the_last_that_is_asked() -> None:
    steps = [Says(None), Says(PENDING), Says(Reply(200, "OK"))]
    assert Order(steps).decide(invite()) is PENDING
    assert [step.asked for step in steps] == [1, 1, 0]


def test_what_no_step_decides_is_not_found() -> None:
    assert shown(Order([Says(None)]).decide(invite())) == (404, "Not Found", ())


@pytest.mark.parametrize("kept", [None, "not a step"])
def test_when_every_target_has_failed_the_best_response_goes_back(kept: object) -> None:
    step = Says(Reply(200, "OK"))
    ask = failed()
    ask.step = kept
    assert Order([step]).decide(ask) is BEST
    assert step.asked == 0


def test_a_step_that_wants_to_is_asked_again_alone() -> None:
    steps = [Says(Reply(200, "OK")), Says(PENDING)]
    ask = failed()
    ask.step = steps[1]
    assert Order(steps).decide(ask) is PENDING
    assert [step.asked for step in steps] == [0, 1]


def test_where_it_knows_nothing_better_the_best_response_goes_back() -> None:
    ask = failed()
    ask.step = Says(None)
    assert Order([]).decide(ask) is BEST


def test_steps_that_listen_are_told_of_closed_connections() -> None:
    listens = Listens()
    Order([Says(None), listens]).closed(NOW, FLOW)
    assert listens.told == [(NOW, FLOW)]
