#!/bin/sh
# Initializes the data directory once, then becomes the server. The new cluster is made beside
# its final place and renamed, so that an interrupted start leaves nothing half-made.
set -eu

programs=/usr/lib/postgresql
for folder in "$programs"/*; do
    major=${folder##*/}
done
data=/var/lib/postgresql/data
config=/etc/postgresql/postgresql.conf
# Settings that last no longer than this container; refuse-writes makes one.
settings=/tmp/settings
# Raise it when make_roles changes: what it makes is made once for each number.
roles=2

# 78: starting again does not help, so the unit does not.
fail() {
    echo "todo-db: $1" >&2
    exit 78
}

# Run statements, one a line, without a server. Usage: run_alone DATA < STATEMENTS
run_alone() {
    postgres --single -D "$1" -c config_file="$config" -c data_directory="$1" \
        -c exit_on_error=on postgres > /dev/null
}

# The role that migrates owns everything; the backend's works in it, within its connections. The
# owner is a member of the backend's role, so that it may take over what that one owned before. The
# role of backups copies the cluster and reads all of it; it writes nothing but how they ended, as a
# setting of its own, for the metrics.
# Usage: make_roles DATA [STATEMENT]
make_roles() {
    # A few instances of the backend with a pool of ten each; superusers have their own three. A backup
    # and the receiver query on a connection each, and one that was closed may still count for a moment.
    run_alone "$1" << END
${2-}
DO 'BEGIN IF to_regrole(''$DB_ROLE'') IS NULL THEN CREATE ROLE $DB_ROLE LOGIN; END IF; END'
DO 'BEGIN IF to_regrole(''$DB_OWNER_ROLE'') IS NULL THEN CREATE ROLE $DB_OWNER_ROLE LOGIN; END IF; END'
ALTER ROLE $DB_ROLE CONNECTION LIMIT 50
ALTER ROLE $DB_OWNER_ROLE CONNECTION LIMIT 5
GRANT $DB_ROLE TO $DB_OWNER_ROLE
ALTER DATABASE $DB_NAME OWNER TO $DB_OWNER_ROLE
REVOKE ALL ON DATABASE $DB_NAME FROM PUBLIC
GRANT CONNECT ON DATABASE $DB_NAME TO $DB_ROLE
DO 'BEGIN IF to_regrole(''$DB_BACKUP_ROLE'') IS NULL THEN CREATE ROLE $DB_BACKUP_ROLE LOGIN; END IF; END'
ALTER ROLE $DB_BACKUP_ROLE REPLICATION CONNECTION LIMIT 4
GRANT pg_monitor, pg_read_all_data TO $DB_BACKUP_ROLE
GRANT CONNECT ON DATABASE $DB_NAME TO $DB_BACKUP_ROLE
GRANT SET ON PARAMETER todo.backup, todo.backup_failure, todo.drill, todo.drill_failure TO $DB_BACKUP_ROLE
END
    echo "$roles" > "$1/todo-roles"
}

[ "${DB_MAJOR:-$major}" = "$major" ] || fail "the unit names PostgreSQL $DB_MAJOR, this image runs $major: build the image again (build.py up)"

if [ ! -e "$data/PG_VERSION" ]; then
    [ ! -e "$data" ] || fail "$data holds files but no database: restore a backup (build.py restore), or move the files elsewhere to start with an empty database"
    rm -rf "$data.new"
    # Checksums find a disk that lies; the builtin provider sorts the same on every release. The
    # parser of full-text search goes by the C library's locale instead.
    initdb --pgdata="$data.new" --username=postgres --auth=peer --data-checksums \
        --encoding=UTF8 --locale=C --lc-ctype=C.UTF-8 \
        --locale-provider=builtin --builtin-locale=C.UTF-8 \
        --no-instructions >&2
    make_roles "$data.new" "CREATE DATABASE $DB_NAME"
    mv "$data.new" "$data"
fi

# A file without a line end, or an empty one, makes read fail after it has read.
read -r found < "$data/PG_VERSION" || :
[ "$found" = "$major" ] || fail "the volume holds PostgreSQL $found, this image runs $major: see docs/upgrade-db.md, which says how to move the data"

# A volume of an earlier release, or a copy of one.
made=0
[ ! -e "$data/todo-roles" ] || read -r made < "$data/todo-roles" || :
[ "$made" = "$roles" ] || make_roles "$data"

mkdir -p "$settings"
printf "include '%s'\ninclude_dir '%s'\n" "$config" "$settings" > "$settings.conf"
# A killed server leaves its lock file behind. It names process 1, as whom this one runs too, which
# is how PostgreSQL knows that the file is stale; so this has to be an exec.
exec postgres -D "$data" -c config_file="$settings.conf" \
    -c unix_socket_directories="$DB_SOCKET_DIR" -c unix_socket_group="$DB_SOCKET_GROUP" "$@"
