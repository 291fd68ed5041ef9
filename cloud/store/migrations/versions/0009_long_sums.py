"""Sums over hours and days, and the days of which they are still to be made: at first all that there are."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ALL_DAYS = """
    INSERT INTO rollup_due (venue, day_ms, box)
    SELECT venue, bucket_ms - bucket_ms % 86400000, box FROM rollup
    UNION SELECT venue, bucket_ms - bucket_ms % 86400000, box FROM rollup_peak
"""


def upgrade() -> None:
    """Create the tables, and leave the work to the upkeep."""
    op.create_table(
        "rollup_long",
        *_of_what(),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("venue", "metric", "scope", "length_seconds", "start_ms", "box", "subject", "bin"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_long_peak",
        *_of_what(),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("venue", "metric", "scope", "length_seconds", "start_ms", "box", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_due",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "day_ms", "box"),
        sqlite_with_rowid=False,
    )
    op.execute(_ALL_DAYS)


def downgrade() -> None:
    """Drop them; everything is in the roll-ups."""
    op.drop_table("rollup_due")
    op.drop_table("rollup_long_peak")
    op.drop_table("rollup_long")


def _of_what() -> tuple[sa.Column[str] | sa.Column[int], ...]:
    return (
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("length_seconds", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
    )
