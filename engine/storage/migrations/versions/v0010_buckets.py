"""What was decided in each hour and day, and what came of it: derived from the log, and counted when there is time."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and that of how far it is."""
    op.create_table(
        "bucket",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("span", sa.Integer, primary_key=True),
        sa.Column("begins", sa.BigInteger, primary_key=True),
        sa.Column("action", sa.BigInteger, primary_key=True),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("rewards", sa.BigInteger, nullable=False),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("square", sa.Double, nullable=False),
    )
    op.create_table(
        "counted",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
