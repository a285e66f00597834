#!/bin/sh
# Makes the server refuse writes, or accept them again; reads continue. Usage: refuse-writes on|off
#
# The setting is in a file that lasts no longer than the container: a server that starts accepts writes.
set -eu

file=/tmp/settings/read-only.conf
# The backend ends a request long before; what is still open then is ended here.
patience=60

query() {
    psql --host="$DB_SOCKET_DIR" --username=postgres --dbname="$DB_NAME" --no-psqlrc --quiet \
        --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"
}

case $1 in
    on) echo "default_transaction_read_only = on" > "$file" ;;
    off) rm -f "$file" ;;
    *) exit 2 ;;
esac
query "SELECT pg_reload_conf()" > /dev/null
until [ "$(query 'SHOW default_transaction_read_only')" = "$1" ]; do
    sleep 0.1
done
[ "$1" = on ] || exit 0

# A transaction that began before may still write.
older="FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND xact_start <= '$(query 'SELECT clock_timestamp()')'"
while [ "$(query "SELECT count(*) $older")" -gt 0 ]; do
    patience=$((patience - 1))
    [ "$patience" -gt 0 ] || query "SELECT pg_terminate_backend(pid, 10000) $older" > /dev/null
    sleep 0.5
done
