"""What differs between two versions of the site, a page of entries at a time.

A function on an open connection; it may raise SQLAlchemyError.
"""

from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, tuple_

from oneproxy.site.difference import Difference
from oneproxy.site.model import Key
from oneproxy.store.tables import site_entry

_entry = site_entry.c
_of: Final = bindparam("of", type_=_entry.since.type)
_to: Final = bindparam("to", type_=_entry.since.type)
_older: Final = bindparam("older", type_=_entry.since.type)
_newer: Final = bindparam("newer", type_=_entry.since.type)


def _value_at(version: Any) -> Any:
    """The value that an entry has in a version; of all its rows at most one is of that."""
    lives = and_(_entry.since <= version, or_(_entry.until.is_(None), _entry.until > version))
    return func.max(case((lives, _entry.value)))


_before: Final = _value_at(_of)
_after: Final = _value_at(_to)
#: Rows that end between the two versions, or begin there, and the rows of the same keys that
#: live on both sides.
_touched = or_(
    and_(_entry.since > _older, _entry.since <= _newer), and_(_entry.until > _older, _entry.until <= _newer)
)
_page: Final = (
    select(_entry.section, _entry.key, _before, _after)
    .where(_touched, tuple_(_entry.section, _entry.key) > tuple_(bindparam("section"), bindparam("key")))
    .group_by(_entry.section, _entry.key)
    .having(func.coalesce(_before, "") != func.coalesce(_after, ""))
    .order_by(_entry.section, _entry.key)
    .limit(bindparam("rows"))
)


def differing(connection: Connection, of: int, to: int, after: Key, rows: int) -> list[Difference]:
    """The next `rows` entries behind key `after` that differ: what makes `to` of `of`.

    Either may be the older one. Fewer than `rows` of them: these are the last.
    """
    where: dict[str, Any] = {"of": of, "to": to, "older": min(of, to), "newer": max(of, to)}
    found = connection.execute(_page, where | {"section": after[0], "key": after[1], "rows": rows})
    return [Difference(*row) for row in found.all()]
