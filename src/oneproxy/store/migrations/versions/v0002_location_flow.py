"""The flow over which a contact is reached."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column `flow`; contacts that were bound before are reached by their URI."""
    # With a constant default neither database writes a row: a million bindings take no longer.
    op.add_column("location", sa.Column("flow", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("location", "flow")
