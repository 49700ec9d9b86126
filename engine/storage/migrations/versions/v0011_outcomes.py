"""Rewards that are on record before they are learned, or without that: found by an index that has no other events."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    outcome = sa.text("kind = 4")
    op.create_index("event_outcome", "event", ["experiment", "seq"], sqlite_where=outcome, postgresql_where=outcome)
