"""Experiments that were deleted: their rows stay, so that nobody gets their ids again, and say when that was."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time of a deletion."""
    op.add_column("experiment", sa.Column("deleted_at", sa.BigInteger))
