#!/bin/sh
# Records the outcome of a backup or a drill in state.json of the backup folder, and leaves the others
# as they are. Usage: record-outcome NAME JSON-OBJECT
#
# The file has one outcome a line, so that a shell can replace one. The backend's metrics have it from
# the database, of a backup only: as a setting of the role, one for success and one for failure.
set -eu
# Readable for `build.py status`; the folder itself lets no other user in.
umask 022

file=${BACKUP_FOLDER:-/backup}/state.json
outcomes="\"$1\": $2"
if [ -e "$file" ]; then
    while read -r line; do
        case $line in
            "\"$1\":"*) ;;
            \"*) outcomes="$outcomes,
${line%,}" ;;
        esac
    done < "$file"
fi
printf '{\n%s\n}\n' "$outcomes" > "$file.new"
sync "$file.new"
mv "$file.new" "$file"

[ "$1" = backup ] && [ -n "${PGHOST-}" ] || exit 0
case $2 in
    *'"ok": true'*) setting=todo.backup ;;
    *) setting=todo.backup_failure ;;
esac
# A database that is away is what the next backup, or an alert, will notice.
psql --no-psqlrc --quiet --set="outcome=$2" 2> /dev/null << END || :
ALTER ROLE CURRENT_USER SET $setting = :'outcome';
END
