"""The tables, as SQLAlchemy knows them. What stands in the database is made by `migrations`.

Both databases of a farm, proxy and system, get all tables, so that one may be split in
two, or two be joined, by copying rows. No index beside the keys: a refreshed binding
then changes its row and nothing else, which is most of what is ever written here.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects import postgresql

#: Keys are compared by code point: it is cheaper than by language, and pages follow it.
KEY: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

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
