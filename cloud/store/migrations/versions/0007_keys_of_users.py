"""Who answers for a key, so that it ends with them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MADE_BY_USERS = """
UPDATE api_key SET "user" = substr(created_by, 6)
WHERE created_by LIKE 'user %' AND substr(created_by, 6) IN (SELECT "user" FROM user_account)
"""
_MADE_BY_THEIR_KEYS = """
UPDATE api_key SET "user" = (SELECT maker."user" FROM api_key AS maker WHERE api_key.created_by = 'key ' || maker.id)
WHERE "user" IS NULL AND created_by IN (SELECT 'key ' || id FROM api_key WHERE "user" IS NOT NULL)
"""


def upgrade() -> None:
    """Add the column, and tell it of the keys that there are: those made by keys of a user are the user's too."""
    with op.batch_alter_table("api_key") as table:
        table.add_column(sa.Column("user", sa.String(), nullable=True))
        table.create_foreign_key("api_key_user_fkey", "user_account", ["user"], ["user"])
        table.create_index("ix_api_key_user", ["user"], unique=False)
    op.execute(sa.text(_MADE_BY_USERS))
    while op.get_bind().execute(sa.text(_MADE_BY_THEIR_KEYS)).rowcount:
        pass


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("api_key") as table:
        table.drop_index("ix_api_key_user")
        table.drop_constraint("api_key_user_fkey", type_="foreignkey")
        table.drop_column("user")
