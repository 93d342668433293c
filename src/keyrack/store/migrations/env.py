"""Alembic's entry: migrates over the connection that `keyrack.store.migrations` hands in."""

from alembic import context

from keyrack.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
