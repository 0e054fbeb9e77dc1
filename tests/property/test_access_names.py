"""However names come and go, they are read in their order, each once."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from oneproxy.access import names

NAMES = st.text("ab", max_size=4)


@given(st.lists(st.tuples(st.booleans(), NAMES), max_size=60), NAMES, st.integers(1, 5))
def test_names_are_read_in_their_order_whatever_came_and_went(
    steps: list[tuple[bool, str]], after: str, most: int
) -> None:
    there: set[str] = set()
    with patch.object(names, "BLOCK", 3):
        kept = names.Names()
        for comes, name in steps:
            if comes and name not in there:
                kept.add(name)
                there.add(name)
            elif not comes and name in there:
                kept.remove(name)
                there.remove(name)
            assert kept.after(after, most) == [one for one in sorted(there) if one > after][:most]
