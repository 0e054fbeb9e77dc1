"""The tables, as SQLAlchemy knows them. What stands in the database is made by `migrations`.

Both databases of a farm, proxy and system, get all tables, so that one may be split in
two, or two be joined, by copying rows. `location` has no index
beside its key: a refreshed binding then changes its row and nothing else.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql

#: Keys are compared by code point: it is cheaper than by language, and pages follow it.
KEY: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
#: An instant of UTC to the millisecond; in SQLite "2026-11-25 10:58:29.123", which sorts as it passes.
INSTANT: Final = Text().with_variant(postgresql.TIMESTAMP(timezone=True, precision=3), "postgresql")

metadata: Final = MetaData()

#: One row per binding of an address-of-record; the columns are those of `Binding`.
location: Final = Table(
    "location",
    metadata,
    Column("aor", KEY, primary_key=True),
    # `Binding.key`: with reg-id and instance behind it where several flows may have one contact.
    Column("contact", KEY, primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("q", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("since", Double, nullable=False),
    # A JSON array of text.
    Column("path", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("reg_id", BigInteger, nullable=False),
    # A default, since rows written before this column have no flow.
    Column("flow", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

#: What the farm has to remember about itself, by name.
setting: Final = Table(
    "setting",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: The versions of the site. Their entries are in `site_entry`.
site_version: Final = Table(
    "site_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    # Seconds since the epoch; with the number it tells a version from one of another history.
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("comment", Text, nullable=False),
)

#: The entries of all versions: one is of those from `since` on, up to but not with `until`.
#: So a change writes the rows that differ, and what differs is found by the two numbers.
site_entry: Final = Table(
    "site_entry",
    metadata,
    Column("section", KEY, primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("since", Integer, primary_key=True, autoincrement=False),
    Column("until", Integer),
    # JSON text, never a password of a subscriber: HA1s.
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("site_entry_since", site_entry.c.since)
Index("site_entry_until", site_entry.c.until)

#: Files whose site was applied: an unchanged one is not applied again at the next start.
site_file: Final = Table(
    "site_file",
    metadata,
    # The machine's name and the file's absolute one.
    Column("file", KEY, primary_key=True),
    # SHA-256 of the site in it, hexadecimal.
    Column("digest", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

#: One row per call attempt that reached routing; the columns are the fields of `records.record.Record`,
#: and NULL is what it leaves out. PostgreSQL has a partition for each month (`store.partitions`).
cdr: Final = Table(
    "cdr",
    metadata,
    Column("id", Text().with_variant(postgresql.UUID(), "postgresql"), nullable=False),
    Column("started_at", INSTANT, nullable=False),
    Column("first_response_at", INSTANT),
    Column("ringing_at", INSTANT),
    Column("answered_at", INSTANT),
    Column("ended_at", INSTANT),
    Column("post_dial_delay_ms", BigInteger),
    Column("duration_ms", BigInteger),
    Column("status", Integer),
    Column("cause", Text),
    Column("reason", Text),
    Column("q850", Integer),
    Column("ended_by", Text),
    Column("call_id", KEY),
    Column("from_tag", Text),
    Column("to_tag", Text),
    Column("caller_uri", Text),
    Column("callee_uri", Text),
    Column("caller", KEY),
    Column("callee", KEY),
    Column("routed_caller", Text),
    Column("routed_callee", Text),
    Column("domain", Text),
    Column("subscriber", Text),
    Column("source", Text),
    Column("transport", Text),
    Column("provider", Text),
    Column("gateway", Text),
    # The attempts as the journal has them: a JSON array of `records.record.Attempt`.
    Column("attempts", Text().with_variant(postgresql.JSONB(), "postgresql")),
    Column("node", Text),
    Column("caller_agent", Text),
    Column("callee_agent", Text),
    # Pages of the newest calls follow it.
    PrimaryKeyConstraint("started_at", "id"),
    postgresql_partition_by="RANGE (started_at)",
)
#: "The last calls of this number", and "what became of this call".
Index("cdr_caller", cdr.c.caller, cdr.c.started_at)
Index("cdr_callee", cdr.c.callee, cdr.c.started_at)
Index("cdr_call_id", cdr.c.call_id)
