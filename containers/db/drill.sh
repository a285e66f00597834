#!/bin/sh
# Restores the newest backup into a scratch folder and serves it until it is stopped, so that
# todo-drill can verify it. The scratch is removed at the end, and what a killed run left, before.
#
# Beside the data are three files for todo-drill: `began`, whose time is the start, and then either
# `restored` or `failed`, with what the restore wrote.
set -eu
umask 077

backup=${BACKUP_FOLDER:-/backup}
scratch=${DRILL_FOLDER:-/var/lib/postgresql}

clean() {
    rm -rf "$scratch/data" "$scratch/data.new" "$scratch/data.log" "$scratch/failed.new" \
        "$scratch/restored.new" "$DB_SOCKET_DIR"
}

stop() {
    # Until it ends: what just starts does not handle signals yet.
    while [ -n "$child" ] && kill -"$signal" "$child" 2> /dev/null; do
        sleep 0.2
    done
    clean
    exit 0
}

clean
rm -f "$scratch/began" "$scratch/restored" "$scratch/failed"
mkdir -p "$DB_SOCKET_DIR"
: > "$scratch/began"

# A script that runs in the background ignores SIGINT, which is what ends the server at once.
child='' signal=TERM
trap stop INT TERM
restore "$backup" "$scratch/data" > "$scratch/restored.new" 2> "$scratch/failed.new" &
child=$!
if ! wait "$child"; then
    while read -r line; do
        echo "$line" >&2
    done < "$scratch/failed.new"
    mv "$scratch/failed.new" "$scratch/failed"
    clean
    exit 1
fi
mv "$scratch/restored.new" "$scratch/restored"

# Nobody replicates it, whatever the live server is set to.
entrypoint -c synchronous_standby_names= &
child=$! signal=INT
wait "$child" || :
clean
exit 1
