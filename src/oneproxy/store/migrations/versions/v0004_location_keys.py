"""The keys of bindings whose flow counts (RFC 5626): contact, reg-id and instance.

They were kept under their contact alone. As they stood nothing would have found them again:
a phone that registers anew would have had its old row beside the new one.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_KEY = "contact || ' ' || reg_id || ' ' || instance"
#: No URI has a space in it.
_OLD = "reg_id > 0 AND contact NOT LIKE '% %'"
#: Characters, of at most two octets each, that fit into a key with room for the rest.
_FITS = 1280


def upgrade() -> None:
    """Write them; what does not fit or is there already goes, until its phone registers again."""
    op.execute(
        f"DELETE FROM location WHERE {_OLD} AND ("
        f"length(aor) + length(contact) + length(instance) > {_FITS} OR EXISTS ("
        f"SELECT 1 FROM location AS fresh WHERE fresh.aor = location.aor AND fresh.contact = "
        f"location.contact || ' ' || location.reg_id || ' ' || location.instance))"
    )
    op.execute(f"UPDATE location SET contact = {_KEY} WHERE {_OLD}")


def downgrade() -> None:
    """Take them away: two of them may have one contact. Phones register again."""
    op.execute("DELETE FROM location WHERE reg_id > 0")
