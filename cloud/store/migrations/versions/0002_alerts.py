"""Alerts, their deliveries, and the lease of the process that evaluates them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WAITING = sa.text("delivered_ms IS NULL AND given_up_ms IS NULL")
_NOT_ENDED = sa.text("ended_ms IS NULL")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "alert",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("acknowledged_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("resolved_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alert_by_venue", "alert", ["venue", "raised_ms"], unique=False)
    op.create_index(
        "alert_not_ended",
        "alert",
        ["rule", "venue", "subject"],
        unique=True,
        sqlite_where=_NOT_ENDED,
        postgresql_where=_NOT_ENDED,
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alert", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("delivered_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("given_up_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(["alert"], ["alert.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhook_delivery_by_alert", "webhook_delivery", ["alert"], unique=False)
    op.create_index(
        "webhook_delivery_waiting",
        "webhook_delivery",
        ["due_ms"],
        unique=False,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_table(
        "lease",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("task"),
    )


def downgrade() -> None:
    """Drop the tables, and with them all alerts."""
    op.drop_table("lease")
    op.drop_index("webhook_delivery_waiting", table_name="webhook_delivery")
    op.drop_index("webhook_delivery_by_alert", table_name="webhook_delivery")
    op.drop_table("webhook_delivery")
    op.drop_index("alert_not_ended", table_name="alert")
    op.drop_index("alert_by_venue", table_name="alert")
    op.drop_table("alert")
