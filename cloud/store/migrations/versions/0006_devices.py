"""Devices: certificates given to boxes and workers, enrolment codes, boxes that are shut out."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the column."""
    op.create_table(
        "device_certificate",
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("serial"),
    )
    op.create_index("ix_device_certificate_name", "device_certificate", ["name"], unique=False)
    op.create_table(
        "enrolment_code",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["box"], ["box.box"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_enrolment_code_box", "enrolment_code", ["box"], unique=False)
    op.add_column("box", sa.Column("revoked_ms", sa.BigInteger(), autoincrement=False, nullable=True))


def downgrade() -> None:
    """Drop them; the certificates stay valid for brokers that trust the authority."""
    op.drop_column("box", "revoked_ms")
    op.drop_index("ix_enrolment_code_box", table_name="enrolment_code")
    op.drop_table("enrolment_code")
    op.drop_index("ix_device_certificate_name", table_name="device_certificate")
    op.drop_table("device_certificate")
