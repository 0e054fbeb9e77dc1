"""Call records. In PostgreSQL in partitions: one of each month, and one on either side of them all."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

#: Months have partitions of their own from here on, up to there (`store.partitions`).
_FIRST = "2025-01-01 00:00:00+00"
_END = "2100-01-01 00:00:00+00"


def upgrade() -> None:
    """Make the table `cdr`."""
    key = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    instant = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True, precision=3), "postgresql")
    op.create_table(
        "cdr",
        sa.Column("id", sa.Text().with_variant(postgresql.UUID(), "postgresql"), nullable=False),
        sa.Column("started_at", instant, nullable=False),
        *(sa.Column(f"{name}_at", instant) for name in ("first_response", "ringing", "answered", "ended")),
        *(sa.Column(name, sa.BigInteger) for name in ("post_dial_delay_ms", "duration_ms")),
        sa.Column("status", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("cause", "reason")),
        sa.Column("q850", sa.Integer),
        sa.Column("ended_by", sa.Text),
        sa.Column("call_id", key),
        *(sa.Column(name, sa.Text) for name in ("from_tag", "to_tag", "caller_uri", "callee_uri")),
        *(sa.Column(name, key) for name in ("caller", "callee")),
        *(
            sa.Column(name, sa.Text)
            for name in (
                "routed_caller",
                "routed_callee",
                "domain",
                "subscriber",
                "source",
                "transport",
                "provider",
                "gateway",
            )
        ),
        sa.Column("attempts", sa.Text().with_variant(postgresql.JSONB(), "postgresql")),
        *(sa.Column(name, sa.Text) for name in ("node", "caller_agent", "callee_agent")),
        sa.PrimaryKeyConstraint("started_at", "id"),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index("cdr_caller", "cdr", ["caller", "started_at"])
    op.create_index("cdr_callee", "cdr", ["callee", "started_at"])
    op.create_index("cdr_call_id", "cdr", ["call_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE TABLE cdr_early PARTITION OF cdr FOR VALUES FROM (MINVALUE) TO ('{_FIRST}')")
        op.execute(f"CREATE TABLE cdr_late PARTITION OF cdr FOR VALUES FROM ('{_END}') TO (MAXVALUE)")


def downgrade() -> None:
    """Drop it, with its partitions."""
    op.drop_table("cdr")
