"""Bringing a database to the tables of this version.

Alembic is imported only where there is something to migrate: it costs a third of a
second, and a recorder that restarts finds its tables as it left them.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

#: The newest migration in `store.migrations`.
HEAD: Final = "0005"
#: Every migration that this version knows, oldest first.
KNOWN: Final = ("0001", "0002", "0003", "0004", "0005")
#: Any number that is ours: the advisory lock under which PostgreSQL is migrated.
MIGRATION_LOCK: Final = 0x0_4E_50_52_58


class NewerSchemaError(Exception):
    """The database was last used by a newer version, whose tables are not known here."""


def ensure(connection: Connection) -> bool:
    """Migrate to HEAD where needed; whether something was done. Raises NewerSchemaError."""
    found = version(connection)
    connection.rollback()
    if found == HEAD:
        return False
    _lock(connection)
    # Another recorder may have migrated while the lock was waited for.
    found = version(connection)
    if found is not None and found not in KNOWN:
        connection.rollback()
        raise NewerSchemaError(f"its tables have version {found}, and this version knows those up to {HEAD}")
    if found != HEAD:
        upgrade(connection)
    connection.commit()
    return True


def version(connection: Connection) -> str | None:
    """The migration that the database stands at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _lock(connection: Connection) -> None:
    """Begin the transaction that migrates, alone, so that two recorders take turns."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to `to` that are missing, in the transaction that is open."""
    from alembic import command, config  # noqa: PLC0415 (see the module's docstring)

    settings = config.Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    command.upgrade(settings, to)
