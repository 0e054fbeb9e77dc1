"""`max_calls` of a gateway, of calls that end in all the ways there are: never one more, and none left."""

from limited import MAX_CALLS, Limited


def test_a_gateway_never_has_more_calls_than_it_may_and_none_counts_for_ever() -> None:
    found = Limited(seed=8).run(lasts_s=30.0, per_s=500.0, restart_every_s=5.0)
    # It was full, or this would say nothing.
    assert (found.most, found.beyond, found.uncounted) == (MAX_CALLS, 0, 0)
    assert found.left == (0, 0)
    # Calls ended in many ways, and those that the proxy refused were refused for this.
    assert found.restarts
    assert {200, 486, 487, 503} <= set(found.ends)
    assert 0 not in found.ends
    assert sum(found.ends.values()) == found.calls
    assert set(found.causes) == {"gateways-full"}
