"""Several policies in one experiment: which of them decided, and bases that are written with a change of them.

And what clients say beside decisions and rewards has more kinds, all found by the index of the first.
"""

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
    beside = sa.text("kind >= 4")
    op.drop_index("event_outcome", table_name="event")
    op.create_index("event_outcome", "event", ["experiment", "seq"], sqlite_where=beside, postgresql_where=beside)
