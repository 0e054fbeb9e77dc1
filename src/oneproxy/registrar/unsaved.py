"""What of an address-of-record the database may not have as it is here, and what it may have instead.

By the key of a binding: which bindings of that key the database may have that are none of anybody
else's, since they were there before or were written from here. What is stored again removes
these, and these alone: another machine may have stored a newer one, which stays.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

from oneproxy.registrar.bindings import Binding, Change, Meant, gives_way, is_meant, is_static, meaning

#: Of one key: a phone that begins anew with each REGISTER has a new Call-ID each time. The first
#: ones are kept, since those that came while nothing could be stored are in no database.
MAX_MEANT: Final = 8

#: Characters of one change that stores again, of two octets at most: a link takes 128 KiB.
MAX_SIZE: Final = 48 * 1024

#: By the key of a binding.
Unsaved = dict[str, tuple[Meant, ...]]


def note(kept: Mapping[str, tuple[Meant, ...]], here: Sequence[Binding], change: Change) -> Unsaved:
    """What is unsaved with the contacts of `change`, of `here`, besides `kept`."""
    noted = dict(kept)
    before = {binding.key: meaning(binding) for binding in here}
    touched = list(zip_longest(change.removed, change.meant))
    touched += [(binding.key, meaning(binding)) for binding in change.stored]
    for key, meant in touched:
        known = noted.get(key)
        if known is None:
            known = (before[key],) if key in before else ()
        noted[key] = _with(known, meant)
    return noted


def prevails(theirs: Binding, ours: Binding | None, meant: Sequence[Meant]) -> bool:
    """Whether the database keeps `theirs` when what is unsaved here is stored: `ours`, or nothing."""
    if is_static(theirs):
        return ours is None or not is_static(ours)
    if any(is_meant(theirs, one) for one in meant):
        return False
    return ours is None or not gives_way(theirs, ours)


def in_the_way(kept: Unsaved, stored: Sequence[Binding]) -> list[tuple[str, Meant]]:
    """What has to go before `stored` is stored, and whatever else is unsaved has gone."""
    fresh = {binding.key: binding for binding in stored}
    return [
        (key, one)
        for key, meant in kept.items()
        for one in meant
        if key not in fresh or (one is not None and one[0] == fresh[key].call_id and one[1] > fresh[key].cseq)
    ]


def with_gone(change: Change, gone: Sequence[tuple[str, Meant]]) -> Change:
    """`change`, before which these go too."""
    if not gone:
        return change
    removed = [*zip_longest(change.removed, change.meant), *gone]
    return Change(
        change.aor, tuple(key for key, _ in removed), change.stored, tuple(meant for _, meant in removed)
    )


def first_of(aor: str, kept: Unsaved, here: Mapping[str, Binding], most: int) -> Change:
    """The change that stores some of what is unsaved of `aor` as it is `here`, by key: `most` contacts.

    Fewer of them, but one, where they are long: a change has to fit into a message.
    """
    some: Unsaved = {}
    stored: list[Binding] = []
    size = 0
    for key, meant in kept.items():
        binding = here.get(key)
        size += len(key) + sum(len(one[0]) for one in meant if one is not None)
        if binding is not None:
            size += _size_of(binding)
        if some and (len(some) >= most or size > MAX_SIZE):
            break
        some[key] = meant
        if binding is not None:
            stored.append(binding)
    return with_gone(Change(aor, (), tuple(stored)), in_the_way(some, stored))


def _size_of(binding: Binding) -> int:
    texts = (binding.contact, binding.call_id, binding.source, binding.user_agent, binding.instance)
    return sum(map(len, (*texts, binding.flow, *binding.path)))


def _with(known: tuple[Meant, ...], meant: Meant) -> tuple[Meant, ...]:
    """`known` with one more; of each Call-ID the highest CSeq."""
    if meant is None or None in known:
        return (None,)
    for at, one in enumerate(known):
        if one is not None and one[0] == meant[0]:
            return (*known[:at], (one[0], max(one[1], meant[1])), *known[at + 1 :])
    return (*known, meant) if len(known) < MAX_MEANT else known
