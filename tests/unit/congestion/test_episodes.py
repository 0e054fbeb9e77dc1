"""Episodes of the site's limits: the first and the last refusal of each is told, and nothing between."""

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.episodes import Episodes
from oneproxy.site.model import Limit

NOW = 1_800_000_000.0


class Told:
    """The episodes of two limits, and what was told of them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.sooner = 0
        self.episodes = Episodes(self._began, self._ended)
        self.episodes.on_sooner = self._sooner
        self.alice, self.bob = self.count("caller", "*", "a@x.org"), self.count("caller", "*", "b@x.org")
        self.bob.bound = self.alice.bound
        self.domain = self.count("domain", "x.org", "")

    def count(self, kind: str, whom: str, of: str) -> Count:
        bound = Bound(kind, whom, self.episodes.note)
        bound.take(Limit(calls=1))
        return Count(bound, of)

    def _began(self, count: Count) -> None:
        self.told.append(("began", count.key, count.cause))

    def _ended(self, bound: Bound, refused: dict[str, int], seconds: float) -> None:
        self.told.append(("ended", bound.key, f"{refused} {seconds}"))

    def _sooner(self) -> None:
        self.sooner += 1


def test_each_limit_has_episodes_of_its_own() -> None:
    told = Told()
    for at, count in enumerate((told.alice, told.bob, told.domain, told.alice)):
        count.refused(NOW + at)
    assert told.told == [
        ("began", "caller * a@x.org", "caller-calls-per-period"),
        ("began", "domain x.org", "domain-calls-per-period"),
    ]
    assert (told.sooner, told.episodes.deadline()) == (1, NOW + 5)
    told.episodes.expire(NOW + 5)
    assert (told.told[2:], told.episodes.deadline()) == ([], NOW + 7)
    told.episodes.expire(NOW + 7)
    assert (told.told[2:], told.episodes.deadline()) == (
        [("ended", "domain x.org", "{'domain-calls-per-period': 1} 0.0")],
        NOW + 8,
    )
    told.episodes.expire(NOW + 8)
    assert told.told[3:] == [("ended", "caller *", "{'caller-calls-per-period': 3} 3.0")]
    assert told.episodes.deadline() is None
    told.domain.refused(NOW + 60)
    assert (told.told[4:], told.sooner) == ([("began", "domain x.org", "domain-calls-per-period")], 2)


def test_those_that_run_are_told_at_the_end() -> None:
    told = Told()
    told.alice.refused(NOW)
    told.domain.refused(NOW)
    told.episodes.close()
    told.episodes.close()
    assert [one[:2] for one in told.told[2:]] == [("ended", "caller *"), ("ended", "domain x.org")]
    assert told.episodes.deadline() is None
    told.episodes.expire(NOW + 10)
    assert len(told.told) == 4
