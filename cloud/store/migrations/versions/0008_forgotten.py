"""What came and aged out stays counted: items by type and block of seqs, and a box's dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the column, and count the dead letters that there are."""
    op.create_table(
        "forgotten",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "first_seq", "type"),
        sqlite_with_rowid=False,
    )
    op.add_column("box", sa.Column("dead_letters", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE box SET dead_letters = (SELECT count(*) FROM dead_letter WHERE dead_letter.box = box.box)")


def downgrade() -> None:
    """Drop both."""
    op.drop_column("box", "dead_letters")
    op.drop_table("forgotten")
