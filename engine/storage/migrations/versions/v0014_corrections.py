"""Rewards that were learned and are corrected: found by an index that has no other events."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    corrects = sa.text("kind = 7")
    op.create_index("event_corrected", "event", ["experiment", "seq"], sqlite_where=corrects, postgresql_where=corrects)
