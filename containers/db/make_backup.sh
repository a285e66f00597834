#!/bin/sh
# Makes a base backup, verifies it, and removes what is not to be kept any longer. Once a week it also
# makes a dump, which other versions of PostgreSQL can load. docs/backup.md describes the folder.
#
# A backup gets its final name only when it is complete and verified, and nothing is removed before. So
# an interrupted run leaves the former backups, and a folder that the next run removes.
set -eu
umask 077

folder=${BACKUP_FOLDER:-/backup}
secret=/run/secrets/todo-token-secret
# PostgreSQL's own files besides the databases, and the WAL of the backup itself.
margin=$((256 << 20))
dump_days=7
dumps=4

base=$folder/base
begun=$(date +%s)
# Two backups have two names.
while stamp=$(date --utc --date="@$begun" +%Y%m%dT%H%M%SZ) && [ -e "$base/$stamp" ]; do
    sleep 1
    begun=$(date +%s)
done
partial=$base/.$stamp.partial
bytes=0

now() {
    date --utc +%Y-%m-%dT%H:%M:%SZ
}

# Usage: record true|false REASON
record() {
    seconds=$(($(date +%s) - begun))
    record-outcome backup "{\"at\": \"$(now)\", \"ok\": $1, \"reason\": \"$2\", \"seconds\": $seconds, \"bytes\": $bytes, \"stamp\": \"$stamp\"}"
}

# Usage: fail EXIT-CODE REASON REMEDY
fail() {
    rm -rf "$base/.$stamp".*
    echo "todo-backup: $2: $3" >&2
    record false "$2" || :
    exit "$1"
}

query() {
    psql --no-psqlrc --quiet --tuples-only --no-align --command="$1"
}

# -- Make and verify -------------------------------------------------------------------------------

remove_leftovers() {
    rm -rf "$base"/.*.partial "$base"/.*.removed "$folder/dump"/.*.partial "$folder/files"/.*.partial
    for path in "$base"/*.json "$base"/*.heads "$folder/files"/*; do
        of=${path##*/}
        [ -d "$base/${of%%.*}" ] || rm -rf "$path"
    done
}

require_space() {
    data=$(query "SELECT sum(pg_database_size(oid))::bigint FROM pg_database") \
        || fail 69 "the database cannot be reached" "see the log of todo-db"
    { read -r _ && read -r free; } << END
$(df --block-size=1 --output=avail "$folder")
END
    needed=$((data + data / 10 + margin))
    [ "$free" -ge "$needed" ] || fail 74 \
        "a backup needs $((needed >> 20)) MiB, the file system of the backup folder has $((free >> 20)) MiB free" \
        "free some, or use another folder (docs/backup.md)"
}

require_database() {
    found=0
    check-database 2> /dev/null || found=$?
    [ $found -ne 78 ] || fail 78 "the database is not the one of the former backups" \
        "restore that one (build.py restore), or move the backup folder aside to begin anew"
    [ $found -eq 0 ] || fail 69 "the database cannot be reached" "see the log of todo-db"
}

# Where the journals end: what is restored must contain at least this.
write_heads() {
    query "SELECT json_build_object('owner', owner, 'chain_id', chain_id, 'seq', seq,
        'hash', encode(hash, 'hex')) FROM account WHERE seq > 0 ORDER BY owner" > "$base/.$stamp.heads.partial"
}

make_base() {
    started=$(now)
    schema=null heads=null
    migrated=$(query "SELECT to_regclass('alembic_version') IS NOT NULL")
    if [ "$migrated" = t ]; then
        schema=\"$(query "SELECT version_num FROM alembic_version")\"
        heads=\"$stamp.heads\"
        write_heads
    fi
    server=$(query "SELECT split_part(current_setting('server_version'), ' ', 1)")
    pg_basebackup --pgdata="$partial" --format=plain --wal-method=stream --checkpoint=fast \
        --manifest-checksums=SHA256 --label="todo-backup $stamp" --no-password \
        || fail 1 "pg_basebackup failed" "the lines above say why"
    pg_verifybackup --quiet "$partial" \
        || fail 1 "the new backup does not match its manifest" "check the disk of the backup folder"
    wal_start=
    while read -r line; do
        case $line in
            "START WAL LOCATION: "*) wal_start=${line##*file } wal_start=${wal_start%)} ;;
        esac
    done < "$partial/backup_label"
    [ -n "$wal_start" ] || fail 1 "the new backup has no backup_label" "check the disk of the backup folder"
    read -r bytes _ << END
$(du --bytes --summarize "$partial")
END
}

copy_files() {
    mkdir -p "$folder/files/.$stamp.partial"
    if [ -e "$folder/settings" ]; then
        cp -R "$folder/settings/." "$folder/files/.$stamp.partial"
    fi
    [ ! -e "$secret" ] || cp "$secret" "$folder/files/.$stamp.partial/token-secret"
    mv "$folder/files/.$stamp.partial" "$folder/files/$stamp"
}

publish() {
    # Readable for `build.py status`; the folder itself lets no other user in.
    (umask 022 && echo "{
\"format\": 1,
\"stamp\": \"$stamp\",
\"started_at\": \"$started\",
\"ended_at\": \"$(now)\",
\"bytes\": $bytes,
\"wal_start\": \"$wal_start\",
\"postgresql\": \"$server\",
\"schema\": $schema,
\"heads\": $heads
}" > "$base/.$stamp.json.partial")
    [ "$heads" = null ] || mv "$base/.$stamp.heads.partial" "$base/$stamp.heads"
    mv "$base/.$stamp.json.partial" "$base/$stamp.json"
    sync "$base/$stamp.json" "$base"
    # From here on it counts.
    mv "$partial" "$base/$stamp"
    sync "$base"
}

# -- The weekly dump -------------------------------------------------------------------------------

make_dump() {
    newest=
    for path in "$folder/dump"/*.dump; do
        newest=${path##*/}
    done
    newest=${newest%.dump}
    case $newest in
        "*") ;;
        *) [ $((begun - $(date --utc --date="${newest%T*}" +%s))) -ge $((dump_days * 86400)) ] || return 0 ;;
    esac
    dump=$folder/dump/.$stamp.partial
    pg_dump --format=custom --file="$dump" --no-password || dump_failed
    # Reads all of it.
    pg_restore --file=/dev/null "$dump" || dump_failed
    mv "$dump" "$folder/dump/$stamp.dump"
    set -- "$folder/dump"/*.dump
    while [ $# -gt $dumps ]; do
        rm -f "$1"
        shift
    done
}

dump_failed() {
    rm -f "$dump"
    fail 1 "the base backup is complete, pg_dump failed" "the lines above say why"
}

# -- Remove ----------------------------------------------------------------------------------------

prune() {
    set --
    for path in "$base"/*Z; do
        set -- "$@" "${path##*/}"
    done
    kept=$(keep-backups "${BACKUP_KEEP_DAILY:-7}" "${BACKUP_KEEP_WEEKLY:-4}" "${BACKUP_KEEP_MONTHLY:-6}" "$@")
    oldest_daily=
    for each; do
        case $kept in
            *"daily $each"*) oldest_daily=${oldest_daily:-$each} ;;
            *" $each"*) ;;
            *) remove_backup "$each" ;;
        esac
    done
    prune_wal "$oldest_daily"
}

remove_backup() {
    mv "$base/$1" "$base/.$1.removed"
    rm -rf "$base/$1.json" "$base/$1.heads" "$folder/files/$1" "$base/.$1.removed"
}

# Weekly and monthly backups bring the WAL of their own end, so those need none of it. Usage: prune_wal
# STAMP of the oldest backup from which every later moment can be restored.
prune_wal() {
    needed=
    while IFS=' ",' read -r _ name _ value _; do
        [ "$name" != wal_start ] || needed=$value
    done < "$base/$1.json"
    case $needed in
        ????????????????????????) pg_archivecleanup "$folder/wal" "$needed" ;;
        *) echo "todo-backup: $base/$1.json has no wal_start, so no WAL is removed" >&2 ;;
    esac
    oldest=${1%Z}
    for path in "$folder"/wal.*Z; do
        aside=${path##*/wal.}
        aside=${aside%Z}
        [ "$aside" = "*" ] || [ "${aside%T*}${aside#*T}" -ge "${oldest%T*}${oldest#*T}" ] || rm -rf "$path"
    done
}

(umask 022 && mkdir -p "$base" "$folder/dump" "$folder/wal")
mkdir -p "$folder/files"
remove_leftovers
require_space
require_database
make_base
copy_files
publish
prune
make_dump
record true ""
echo "todo-backup: $stamp, $((bytes >> 20)) MiB, $seconds s"
