#!/bin/sh
# Records the outcome of a backup or a drill in state.json of the backup folder, and leaves the others
# as they are. Usage: record-outcome NAME JSON-OBJECT
#
# The file has one outcome a line, so that a shell can replace one.
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
