"""Snapshots in parts: column snapshot.state becomes table snapshot_part."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and let the states be the first parts."""
    op.create_table(
        "snapshot_part",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO snapshot_part SELECT experiment, seq, 0, state FROM snapshot")
    op.drop_column("snapshot", "state")
