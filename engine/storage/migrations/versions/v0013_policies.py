"""Several policies in one experiment: which of them decided, and bases that are written with a change of them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("event", sa.Column("policy", sa.SmallInteger))
    op.add_column("base", sa.Column("of_change", sa.Boolean, nullable=False, server_default=sa.false()))
