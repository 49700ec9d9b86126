"""The log: tables experiment, event and snapshot."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "experiment",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger),
    )
    op.create_table(
        "event",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("action", sa.BigInteger),
        sa.Column("propensity", sa.Double),
        sa.Column("reward", sa.Double),
        sa.Column("context", sa.LargeBinary),
        sa.Column("available", sa.LargeBinary),
        sa.Column("detail", sa.Text),
        sa.Column("sent", sa.Text),
        sa.Column("decision_id", sa.Text),
        sa.Column("reward_id", sa.Text),
        sa.Column("body_hash", sa.LargeBinary),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("experiment", "decision_id", name="event_decision_id"),
        sa.UniqueConstraint("experiment", "number", "reward_id", name="event_number_reward_id"),
    )
    op.create_table(
        "snapshot",
        sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
