"""The order of the steps."""

from asking import invite, shown
from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Outcome, Reply, Target
from oneproxy.policy.order import Order


class Says:
    """A step that always says the same."""

    def __init__(self, decision: Decision | None) -> None:
        self.decision = decision
        self.asked = 0

    def decide(self, ask: Ask) -> Decision | None:
        self.asked += 1
        return self.decision


def test_the_first_step_that_decides_is_the_last_that_is_asked() -> None:
    steps = [Says(None), Says(PENDING), Says(Reply(200, "OK"))]
    assert Order(steps).decide(invite()) is PENDING
    assert [step.asked for step in steps] == [1, 1, 0]


def test_what_no_step_decides_is_not_found() -> None:
    assert shown(Order([Says(None)]).decide(invite())) == (404, "Not Found", ())


def test_when_every_target_has_failed_the_best_response_goes_back() -> None:
    step = Says(Reply(200, "OK"))
    ask = invite()
    ask.outcomes.append(Outcome(Target("sip:bob@192.0.2.4"), 486, None))
    assert Order([step]).decide(ask) is BEST
    assert step.asked == 0
