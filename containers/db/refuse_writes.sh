#!/bin/sh
# Makes the server refuse writes, or accept them again; reads continue. Usage: refuse-writes on|off
#
# The setting is in a file that lasts no longer than the container: a server that starts accepts writes.
# It may run again, whatever an interrupted run left. A setting of the same name that somebody made
# (ALTER SYSTEM, ALTER DATABASE, ALTER ROLE) stays as it is; where it would let somebody write, "on" ends
# with 78, and writes are accepted.
set -eu

file=/tmp/settings/read-only.conf
# The backend ends a request long before; what is still open then is ended here.
patience=60

query() {
    psql --host="$DB_SOCKET_DIR" --username=postgres --dbname="$DB_NAME" --no-psqlrc --quiet \
        --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"
}

# Until the process from which new connections come has read the file. The value that one has proves
# nothing: somebody may have set the same one, or another one for this role.
reload() {
    since=$(query "SELECT clock_timestamp()")
    loaded=f
    while [ "$loaded" = f ]; do
        query "SELECT pg_reload_conf()" > /dev/null
        sleep 0.1
        loaded=$(query "SELECT pg_conf_load_time() >= '$since'")
    done
}

accept() {
    rm -f "$file"
    reload
}

# Whose setting is stronger than that of the file, and lets them write.
find_writers() {
    query "
        SELECT 'ALTER SYSTEM' FROM pg_file_settings
        WHERE name = 'default_transaction_read_only' AND applied AND NOT setting::boolean
        UNION ALL
        SELECT concat_ws(' ', CASE WHEN setrole = 0 THEN 'ALTER DATABASE'
            ELSE format('ALTER ROLE %s', setrole::regrole) || CASE WHEN setdatabase <> 0 THEN ' IN DATABASE' ELSE '' END
            END, quote_ident(datname))
        FROM pg_db_role_setting LEFT JOIN pg_database ON pg_database.oid = setdatabase
            CROSS JOIN unnest(setconfig) AS setting
        WHERE coalesce(datname, current_database()) = current_database()
            AND split_part(setting, '=', 1) = 'default_transaction_read_only'
            AND NOT split_part(setting, '=', 2)::boolean"
}

case $1 in
    on) echo "default_transaction_read_only = on" > "$file" ;;
    off)
        accept
        exit 0
        ;;
    *) exit 2 ;;
esac
reload
writers=$(find_writers)
if [ -n "$writers" ]; then
    accept
    echo "refuse-writes: default_transaction_read_only was set to off by $writers, which would still let writes through" >&2
    exit 78
fi

# A transaction that began before may still write.
older="FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND xact_start <= '$(query 'SELECT clock_timestamp()')'"
open=$(query "SELECT count(*) $older")
while [ "$open" -gt 0 ]; do
    patience=$((patience - 1))
    [ "$patience" -gt 0 ] || query "SELECT pg_terminate_backend(pid, 10000) $older" > /dev/null
    sleep 0.5
    open=$(query "SELECT count(*) $older")
done
