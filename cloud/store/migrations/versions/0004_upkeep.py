"""Upkeep: how each job went last, and for how long a venue keeps its raw events."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the column."""
    op.create_table(
        "job",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("succeeded_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("gone", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.add_column("venue", sa.Column("retention_months", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop both; what has been forgotten does not come back."""
    op.drop_column("venue", "retention_months")
    op.drop_table("job")
