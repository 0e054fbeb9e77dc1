"""Changes of the running site that come without a file: checked, and stored as a new version."""

from collections.abc import Sequence

from oneproxy.site.change import Edit, check_edits
from oneproxy.site.mistake import Mistake
from oneproxy.site.model import Version
from oneproxy.store.sites import TRIES, Sites, Stale, Written


def change(
    sites: Sites, edits: Sequence[Edit], fresh: Version, based_on: int | None = None
) -> Written | Stale | list[Mistake]:
    """Carry out all of `edits` as one new version, or none of them: every mistake then.

    fresh: who, when and why. based_on: the version that the editor saw; when it is not the
    newest, the answer is Stale. None: the edits are made of whichever is the newest, and
    made again when another change comes first. Raises StoreError.
    """
    found: Written | Stale = Stale(0)
    for _ in range(TRIES):
        base = sites.latest().version
        if based_on is not None and based_on != base:
            return Stale(base)
        wanted = check_edits(sites.entries(base), edits)
        if isinstance(wanted, list):
            return wanted
        found = sites.replace(wanted, fresh, based_on=base)
        if isinstance(found, Written):
            break
    return found
