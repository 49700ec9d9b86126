"""Decisions that are erased and not blank yet: found by an index that has no others, however many are blank."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    left = ~sa.column("blank", sa.Boolean)
    op.create_index("erased_left", "erased", ["experiment", "number"], sqlite_where=left, postgresql_where=left)
