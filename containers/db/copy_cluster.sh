#!/bin/sh
# Copies the cluster of one server into the new one of another: the roles with their settings, then
# the database, then statistics. Usage: copy-cluster FROM TO, the folders of the servers' sockets.
#
# pg_dump must be that of the old server: a newer one does not know what minor releases of the old one
# store in the catalog, and leaves tables out. So this runs in the old image (ADR 83).
set -eu

# Memberships of roles that are there already are only noted. A database or a role that is read-only by
# a setting of its own gets that with the copy, while there is still something to write.
export PGOPTIONS="--client-min-messages=warning --default-transaction-read-only=off"
from=$1 to=$2
globals=${TMPDIR:-/tmp}/globals.sql dumped=${TMPDIR:-/tmp}/dumped indexes=${TMPDIR:-/tmp}/indexes.dump

jobs=4

# Usage: dump [OPTION…]
dump() {
    pg_dump --host="$from" --username=postgres --dbname="$DB_NAME" --format=custom --compress=0 \
        --no-password "$@"
}

fail() {
    echo "copy-cluster: $1" >&2
    exit 1
}

# Usage: query FOLDER DATABASE STATEMENT
query() {
    psql --host="$1" --username=postgres --dbname="$2" --no-psqlrc --quiet --tuples-only --no-align \
        --set=ON_ERROR_STOP=1 --command="$3"
}

others=$(query "$from" postgres "SELECT string_agg(datname, ', ') FROM pg_database
    WHERE datallowconn AND datname NOT IN ('postgres', 'template1', '$DB_NAME')")
[ -z "$others" ] || fail "the cluster has further databases, which would be left behind: $others"
spaces=$(query "$from" postgres "SELECT string_agg(spcname, ', ') FROM pg_tablespace WHERE spcname !~ '^pg_'")
[ -z "$spaces" ] || fail "the cluster has tablespaces of its own, which would be left behind: $spaces"

# The entry point has made some roles already. Their settings come with the others'.
known=$(query "$to" postgres "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_'")
pg_dumpall --host="$from" --username=postgres --globals-only --no-password > "$globals" \
    || fail "pg_dumpall failed"
while IFS= read -r line; do
    name=${line#CREATE ROLE }
    case $line in
        "CREATE ROLE "*";")
            case "
$known
" in
                *"
${name%;}
"*) continue ;;
            esac
            ;;
    esac
    printf '%s\n' "$line"
done < "$globals" | psql --host="$to" --username=postgres --dbname=postgres --no-psqlrc --quiet \
    --set=ON_ERROR_STOP=1 > /dev/null || fail "the roles cannot be made in the new cluster"

# From the dump, with its owner, privileges and settings.
query "$to" postgres "DROP DATABASE $DB_NAME"
rm -f "$dumped"
{
    dump --section=pre-data --section=data && : > "$dumped"
} | pg_restore --host="$to" --username=postgres --dbname=postgres --create --exit-on-error \
    --no-password || fail "pg_restore failed"
[ -e "$dumped" ] || fail "pg_dump failed"
# Indexes and constraints, several at a time.
dump --section=post-data --file="$indexes" || fail "pg_dump failed"
pg_restore --host="$to" --username=postgres --dbname="$DB_NAME" --exit-on-error --jobs="$jobs" \
    --no-password "$indexes" || fail "pg_restore failed"
vacuumdb --host="$to" --username=postgres --dbname="$DB_NAME" --analyze-only --jobs="$jobs" --quiet \
    --no-password || fail "vacuumdb failed"
