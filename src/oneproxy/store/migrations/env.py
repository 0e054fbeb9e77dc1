"""Alembic's entry point: runs the migrations on the connection that `store.schema` hands in."""

from alembic import context

from oneproxy.store.tables import metadata

# transactional_ddl: SQLite can undo a CREATE TABLE as PostgreSQL can, though Alembic does
# not expect it to; a start that is killed half-way must not leave half a schema.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
