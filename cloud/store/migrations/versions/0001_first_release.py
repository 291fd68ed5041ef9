"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "camera",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("scene", sa.String(), nullable=False),
        sa.Column("space", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state_since_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("last_report_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("box", "camera"),
    )
    op.create_index(op.f("ix_camera_venue"), "camera", ["venue"], unique=False)
    op.create_table(
        "camera_state",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "seq"),
    )
    op.create_index("camera_state_by_camera", "camera_state", ["box", "camera", "at_ms"], unique=False)
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dead_letter_by_box", "dead_letter", ["box", "received_ms"], unique=False)
    op.create_table(
        "epoch",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("superseded_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("doubted", sa.Boolean(), nullable=False),
        sa.Column("cloned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch"),
    )
    op.create_table(
        "event",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("scene", sa.String(), nullable=True),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "seq"),
    )
    op.create_index("event_by_time", "event", ["at_ms"], unique=False)
    op.create_index("event_by_venue", "event", ["venue", "type", "at_ms"], unique=False)
    op.create_table(
        "gap",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("end_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("lost_by_type", sa.Text(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "first_seq"),
    )
    op.create_table(
        "held",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "seq"),
    )
    op.create_index("held_by_reason", "held", ["reason", "due_ms"], unique=False)
    op.create_table(
        "layout",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("box", "venue", "config"),
    )
    op.create_index(op.f("ix_layout_venue"), "layout", ["venue"], unique=False)
    op.create_table(
        "layout_change",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "seq"),
    )
    op.create_table(
        "live",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("box"),
    )
    op.create_index(op.f("ix_live_venue"), "live", ["venue"], unique=False)
    op.create_table(
        "receipt",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("box", "epoch", "first_seq"),
    )
    op.create_table(
        "rollup",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("bucket_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("venue", "metric", "scope", "bucket_ms", "box", "subject", "bin"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_peak",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("bucket_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("venue", "metric", "scope", "bucket_ms", "box", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "store",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tile",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("space", sa.String(), nullable=False),
        sa.Column("layer", sa.String(), nullable=False),
        sa.Column("length_seconds", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("tx", sa.Integer(), nullable=False),
        sa.Column("ty", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "space", "layer", "length_seconds", "start_ms", "box", "camera", "tx", "ty"),
    )
    op.create_table(
        "venue",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("h3_cell", sa.String(), nullable=True),
        sa.Column("area_m2", sa.Float(), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("opening_hours", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("archived_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("venue"),
    )
    op.create_index(op.f("ix_venue_h3_cell"), "venue", ["h3_cell"], unique=False)
    op.create_table(
        "box",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=True),
        sa.Column("key_sha256", sa.String(), nullable=True),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("last_seen_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(
            ["venue"],
            ["venue.venue"],
        ),
        sa.PrimaryKeyConstraint("box"),
    )
    op.create_index(op.f("ix_box_venue"), "box", ["venue"], unique=False)
    op.create_table(
        "floor_plan",
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("floor", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("metres_per_pixel", sa.Float(), nullable=False),
        sa.Column("origin_x_px", sa.Float(), nullable=False),
        sa.Column("origin_y_px", sa.Float(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["venue"],
            ["venue.venue"],
        ),
        sa.PrimaryKeyConstraint("venue", "floor"),
    )
    op.create_table(
        "enrolment",
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("venue", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["box"],
            ["box.box"],
        ),
        sa.ForeignKeyConstraint(
            ["venue"],
            ["venue.venue"],
        ),
        sa.PrimaryKeyConstraint("box", "from_ms"),
    )


def downgrade() -> None:
    """Drop every table, and with them all data."""
    op.drop_table("enrolment")
    op.drop_table("floor_plan")
    op.drop_index(op.f("ix_box_venue"), table_name="box")
    op.drop_table("box")
    op.drop_index(op.f("ix_venue_h3_cell"), table_name="venue")
    op.drop_table("venue")
    op.drop_table("tile")
    op.drop_table("store")
    op.drop_table("rollup_peak")
    op.drop_table("rollup")
    op.drop_table("receipt")
    op.drop_index(op.f("ix_live_venue"), table_name="live")
    op.drop_table("live")
    op.drop_table("layout_change")
    op.drop_index(op.f("ix_layout_venue"), table_name="layout")
    op.drop_table("layout")
    op.drop_index("held_by_reason", table_name="held")
    op.drop_table("held")
    op.drop_table("gap")
    op.drop_index("event_by_venue", table_name="event")
    op.drop_index("event_by_time", table_name="event")
    op.drop_table("event")
    op.drop_table("epoch")
    op.drop_index("dead_letter_by_box", table_name="dead_letter")
    op.drop_table("dead_letter")
    op.drop_index("camera_state_by_camera", table_name="camera_state")
    op.drop_table("camera_state")
    op.drop_index(op.f("ix_camera_venue"), table_name="camera")
    op.drop_table("camera")
