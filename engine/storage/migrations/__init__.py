"""Schema changes, run by Alembic at start."""
