#!/bin/sh
# Checks that the database that runs is the one in the backup folder. After the loss of its volume, the
# server starts with a new, empty database. Its WAL and its backups must not join those of the lost one,
# which a restore would then leave out.
#
# Exit codes: 0 if it is, or if there is no base backup yet; 78 with one line if it is another one.
set -eu

newest=
for path in "${BACKUP_FOLDER:-/backup}/base"/*Z; do
    [ ! -d "$path" ] || newest=$path
done
[ -n "$newest" ] || exit 0
saved=
while IFS=: read -r name value; do
    [ "$name" != "Database system identifier" ] || saved=${value##* }
done << END
$(pg_controldata "$newest")
END
running=$(psql --no-psqlrc --quiet --tuples-only --no-align \
    --command="SELECT system_identifier FROM pg_control_system()")
if [ "$saved" != "$running" ]; then
    echo "${PGAPPNAME:-backup}: this is not the database of the backups: restore that one (build.py restore), or move the backup folder aside to begin anew" >&2
    exit 78
fi
