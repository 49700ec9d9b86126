"""States that logs are folded from: what lies before one of them may be slim, or in an archive."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "base",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("slim", sa.BigInteger, nullable=False),
        sa.Column("archive", sa.Text),
        sa.Column("archive_sha256", sa.Text),
        sa.Column("archive_bytes", sa.BigInteger),
    )
    op.create_table(
        "base_part",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
