"""Whom decisions are for: column event.unit_id, and an index of the rows that have one; and which were erased."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index, and the table."""
    op.add_column("event", sa.Column("unit_id", sa.Text))
    there = sa.text("unit_id IS NOT NULL")
    columns = ["experiment", "unit_id", "number"]
    op.create_index("event_unit_id", "event", columns, sqlite_where=there, postgresql_where=there)
    op.add_column("base", sa.Column("whole", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "erased",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("blank", sa.Boolean, nullable=False),
    )
