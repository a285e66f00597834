#!/bin/sh
# Initialises the data directory once, then becomes the server. The new cluster is made beside
# its final place and renamed, so that an interrupted start leaves nothing half-made.
set -eu

major=17
data=/var/lib/postgresql/data
config=/etc/postgresql/postgresql.conf

# 78: starting again does not help, so the unit does not.
fail() {
    echo "todo-db: $1" >&2
    exit 78
}

if [ ! -e "$data/PG_VERSION" ]; then
    [ ! -e "$data" ] || fail "$data holds files but no database: see docs/database.md, which says how to save them and restore a backup"
    rm -rf "$data.new"
    # Checksums find a disk that lies; the builtin provider sorts the same on every release. The
    # parser of full-text search goes by the C library's locale instead.
    initdb --pgdata="$data.new" --username=postgres --auth=peer --data-checksums \
        --encoding=UTF8 --locale=C --lc-ctype=C.UTF-8 \
        --locale-provider=builtin --builtin-locale=C.UTF-8 \
        --no-instructions >&2
    for statement in "CREATE ROLE $DB_ROLE LOGIN" "CREATE DATABASE $DB_NAME OWNER $DB_ROLE"; do
        echo "$statement" | postgres --single -D "$data.new" -c config_file="$config" \
            -c data_directory="$data.new" postgres >&2
    done
    mv "$data.new" "$data"
fi

found=$(cat "$data/PG_VERSION")
[ "$found" = "$major" ] || fail "the volume todo-data holds PostgreSQL $found, this image runs $major: dump it with the old image and load the dump into a new volume; see docs/database.md"

# A killed server leaves its lock file behind. It names process 1, as whom this one runs too, which
# is how PostgreSQL knows that the file is stale; so this has to be an exec.
exec postgres -D "$data" -c config_file="$config" \
    -c unix_socket_directories="$DB_SOCKET_DIR" "$@"
