"""What Alembic runs to migrate: the caller's connection, within the caller's transaction."""

from alembic import context


def run() -> None:
    """Migrate over the connection that `onearm.engine.storage.schema.migrate` passes in."""
    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
    context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file
    run()
