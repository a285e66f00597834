#!/bin/sh
# Receives the WAL as the server writes it, into the folder wal of the backup folder, on a slot by which
# the server keeps what has not arrived. With the argument "health" it checks whether WAL arrives. It
# ends with 78 if the database is not the one of the backups.
set -eu
umask 077

folder=${BACKUP_FOLDER:-/backup}
slot=todo_wal

query() {
    psql --no-psqlrc --quiet --tuples-only --no-align --command="$1"
}

if [ "${1-}" = health ]; then
    # A server that is away is not healed by starting this again.
    streams=$(query "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$PGAPPNAME'") \
        || exit 0
    [ "$streams" -gt 0 ]
    exit
fi

find_slot() {
    query "SELECT coalesce(wal_status, 'unused') FROM pg_replication_slots WHERE slot_name = '$slot'"
}

until status=$(find_slot 2> /dev/null); do
    [ -n "${waits-}" ] || echo "todo-wal: waiting for the database" >&2
    waits=yes
    sleep 2
done

check-database
if [ "$status" = lost ]; then
    echo "todo-wal: the receiver was away for too long, the server has removed WAL" >&2
    query "SELECT pg_drop_replication_slot('$slot')" > /dev/null
    status=
fi
if [ -z "$status" ]; then
    # A new slot does not continue the former WAL. Older backups need that one, and pg_receivewal would
    # wait for its next segment forever.
    for file in "$folder/wal"/*; do
        [ -e "$file" ] || break
        aside=wal.$(date --utc +%Y%m%dT%H%M%SZ)
        mv "$folder/wal" "$folder/$aside"
        echo "todo-wal: the WAL has a gap, so the former one is in $aside now: make a backup" >&2
        break
    done
    (umask 022 && mkdir -p "$folder/wal")
    query "SELECT pg_create_physical_replication_slot('$slot', true)" > /dev/null
fi
exec pg_receivewal --directory="$folder/wal" --slot="$slot" --synchronous --no-password
