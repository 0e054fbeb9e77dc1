"""The `setting` table: what the farm has to remember about itself."""

import secrets
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from oneproxy.store.tables import setting

FARM_SECRET: Final = "farm-secret"
SECRET_OCTETS: Final = 32

_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def farm_secret(connection: Connection) -> bytes:
    """The secret that the farm's keys are derived from; made when there is none yet.

    Commits. Machines that start together for the first time all get the one that was
    first. Raises SQLAlchemyError.
    """
    wanted = select(setting.c.value).where(setting.c.name == FARM_SECRET)
    found = connection.execute(wanted).scalar()
    if found is None:
        insert = _INSERT[connection.dialect.name](setting)
        fresh = {"name": FARM_SECRET, "value": secrets.token_bytes(SECRET_OCTETS)}
        connection.execute(insert.on_conflict_do_nothing(), fresh)
        found = connection.execute(wanted).scalar_one()
    connection.commit()
    return bytes(found)
