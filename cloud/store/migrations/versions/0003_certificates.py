"""Certificates of lines: how their counts compare with those of a person."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "certificate",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("setup", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("model_digest", sa.String(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("length_seconds", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("latest_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("in_counted", sa.Integer(), nullable=True),
        sa.Column("in_by_hand", sa.Integer(), nullable=True),
        sa.Column("in_matched", sa.Integer(), nullable=True),
        sa.Column("out_counted", sa.Integer(), nullable=True),
        sa.Column("out_by_hand", sa.Integer(), nullable=True),
        sa.Column("out_matched", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("box", "epoch", "seq"),
    )
    op.create_index("ix_certificate_venue", "certificate", ["venue"], unique=False)


def downgrade() -> None:
    """Drop the table; what the boxes sent stays among the events."""
    op.drop_index("ix_certificate_venue", table_name="certificate")
    op.drop_table("certificate")
