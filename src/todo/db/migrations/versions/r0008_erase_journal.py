"""Add a function that erases journal content, for a role that can only append to the journal.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The columns are looked up, so that columns of later revisions are erased as well. All tables are
# qualified by schema, so that a caller cannot shadow them with tables of the same name.
_FUNCTION = """
CREATE FUNCTION {schema}.erase_journal(erased text, above bigint, until bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    nulls text;
BEGIN
    IF EXISTS (SELECT FROM {schema}.task WHERE owner = erased)
        OR EXISTS (SELECT FROM {schema}.list WHERE owner = erased) THEN
        RAISE EXCEPTION 'the account still has tasks or lists'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT string_agg(format('%I = NULL', attname), ', ') INTO nulls
        FROM pg_attribute
        WHERE attrelid = '{schema}.journal'::regclass AND attnum > 0 AND NOT attisdropped
            AND attname NOT IN ('owner', 'seq', 'at', 'commitment', 'hash');
    EXECUTE 'UPDATE {schema}.journal SET ' || nulls
        || ' WHERE owner = $1 AND seq > $2 AND seq <= $3' USING erased, above, until;
END
$body$
"""


def upgrade() -> None:
    """Create the function, which runs as its owner."""
    if op.get_context().dialect.name != "postgresql":
        return
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute(sa.text(_FUNCTION.replace("{schema}", schema)))
    op.execute(f"REVOKE ALL ON FUNCTION {schema}.erase_journal FROM PUBLIC")


def downgrade() -> None:
    """Drop the function."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION erase_journal")
