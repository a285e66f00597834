#!/bin/sh
# Restores a base backup and the WAL after it into a new data directory. The server that did it is
# shut down at the end, and the directory appears under its name only when it is complete.
#
# Usage: restore BACKUP DATA [--ended-before TIME] [--accept-gap]
#                [--time TIME | --name RESTORE-POINT | --before TRANSACTION | --base STAMP]
#
# --ended-before leaves out base backups that ended at that time or later, written as in their facts
# (2026-11-30T03:15:00Z). --time needs it: PostgreSQL would not notice that a base backup is too new.
# Prints `base=STAMP` and `last=TIME OF THE LAST TRANSACTION`. Exit codes: 65 if the backup is damaged
# or incomplete, 66 if it does not contain the target, 69 if there is no backup, 78 if another major
# version of PostgreSQL made it.
set -eu

config=${DB_CONFIG:-/etc/postgresql/postgresql.conf}
sockets=${TMPDIR:-/tmp}
# The one segment size that initdb makes here: 256 files of 16 MiB have the same middle part.
per_log=256
# The unfinished file last. WAL from before a gap or a restore is in folders of its own.
# shellcheck disable=SC2016 # the server runs it
restore_command='for file in "$RESTORE_FROM"/wal/%f "$RESTORE_FROM"/wal.*Z/%f "$RESTORE_FROM"/wal/%f.partial "$RESTORE_FROM"/wal.*Z/%f.partial; do [ ! -e "$file" ] || exec cp "$file" "%p"; done; exit 1'

fail() {
    code=$1
    shift
    [ -z "${new-}" ] || rm -rf "$new" "$log"
    echo "restore: $*" >&2
    exit "$code"
}

# The number of a WAL file among all. Usage: number_of NAME
number_of() {
    tail=${1#????????}
    echo $((0x${tail%????????} * per_log + 0x${tail#????????}))
}

# Usage: name_of TIMELINE NUMBER
name_of() {
    printf '%08X%08X%08X\n' "$1" $(($2 / per_log)) $(($2 % per_log))
}

# The history of the newest timeline; nothing while there is only the first.
find_history() {
    history=
    for file in "$backup"/wal/????????.history "$backup"/wal.*Z/????????.history; do
        [ ! -e "$file" ] || [ "${file##*/}" \< "${history##*/}" ] || history=$file
    done
    echo "$history"
}

# A position in the WAL as one number. Usage: position_of LSN
position_of() {
    echo $(((0x${1%/*} << 32) + 0x${1#*/}))
}

# Whether a position is one that the newest timeline comes from. Usage: is_ancestor TIMELINE LSN
is_ancestor() {
    history=$(find_history)
    newest=${history##*/}
    [ -n "$history" ] && [ "$1" -ne $((0x${newest%.history})) ] || return 0
    while read -r parent lsn _; do
        if [ "$parent" = "$1" ]; then
            [ "$(position_of "$2")" -lt "$(position_of "$lsn")" ] || return 1
            return 0
        fi
    done < "$history"
    return 1
}

# The timeline that a WAL file belongs to, as the history of the newest one says.
# Usage: timeline_of NUMBER DEFAULT
timeline_of() {
    found=$2 history=$(find_history)
    [ -n "$history" ] || { echo "$found"; return; }
    newest=${history##*/} passed=1
    while read -r parent lsn _; do
        [ -n "${lsn:-}" ] || continue
        [ $passed -eq 0 ] || found=$parent
        low=$(printf '%08X' "0x${lsn#*/}")
        passed=0
        [ "$1" -lt $((0x${lsn%/*} * per_log + 0x${low%??????})) ] || passed=1
    done < "$history"
    [ $passed -eq 0 ] || found=$((0x${newest%.history}))
    echo "$found"
}

# Usage: has_wal NAME BASE
has_wal() {
    for file in "$backup"/wal/"$1"* "$backup"/wal.*Z/"$1"* "$2/pg_wal/$1"; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# The first WAL file that is missing before the last one; nothing if none is. Usage: find_gap FIRST BASE
find_gap() {
    at=$(number_of "$1") default=$((0x${1%????????????????})) last=-1
    for file in "$backup"/wal/????????????????????????* "$backup"/wal.*Z/????????????????????????*; do
        name=${file##*/} name=${name%.partial}
        case $name in
            *[!0-9A-F]*) continue ;;
        esac
        number=$(number_of "$name")
        # What a timeline holds after the next one left it does not count.
        if [ "$number" -gt "$last" ] \
            && [ "$((0x${name%????????????????}))" -eq "$(timeline_of "$number" "$default")" ]; then
            last=$number
        fi
    done
    while [ "$at" -le "$last" ]; do
        name=$(name_of "$(timeline_of "$at" "$default")" "$at")
        if ! has_wal "$name" "$2"; then
            echo "$name"
            return
        fi
        at=$((at + 1))
    done
}

# Where a base backup begins: position, and the first WAL file that it needs. Usage: read_label BASE
read_label() {
    while read -r words; do
        case $words in
            "START WAL LOCATION: "*" (file "*)
                words=${words#START WAL LOCATION: }
                echo "${words%% *} ${words#*(file }"
                ;;
        esac
    done < "$1/backup_label"
}

# What follows a text in the last line of the server's log with it. Usage: find_line TEXT
find_line() {
    line=
    while read -r words; do
        case $words in
            # Said to pg_isready.
            *"FATAL:  the database system is "*) ;;
            *"$1"*) line=${words#*"$1"} ;;
        esac
    done < "$log"
    echo "$line"
}

# Replays WAL until the target, then makes the server a primary. Usage: recover [SETTING…]
recover() {
    : > "$new/recovery.signal"
    for setting; do
        set -- "$@" -c "$setting"
        shift
    done
    # Without hot_standby, connections are accepted when the recovery is complete, and no sooner.
    RESTORE_FROM=$backup postgres -D "$new" -c config_file="$config" -c data_directory="$new" \
        -c listen_addresses= -c unix_socket_directories="$sockets" -c unix_socket_permissions=0700 \
        -c synchronous_standby_names= -c hot_standby=off -c recovery_target_action=promote \
        -c restore_command="$restore_command" \
        -c logging_collector=off -c log_destination=stderr -c log_timezone=UTC \
        "$@" > "$log" 2>&1 &
    server=$!
    while ! pg_isready --quiet --host="$sockets"; do
        if ! kill -0 $server 2> /dev/null; then
            wait $server || :
            return 1
        fi
        sleep 0.1
    done
    kill -INT $server
    wait $server
}

# SIGTERM ends a server without clients at once, and also one that does not handle signals yet.
interrupt() {
    if [ -n "${!-}" ]; then
        kill -TERM $! 2> /dev/null || :
        wait $! || :
    fi
    fail 1 "interrupted"
}

# When a base backup ended. Usage: ended_at STAMP
ended_at() {
    while read -r key text; do
        [ "$key" != '"ended_at":' ] || { text=${text#\"} && echo "${text%\"*}"; }
    done < "$backup/base/$1.json"
}

# Usage: try STAMP; returns 1 if an older base backup may contain the target
try() {
    stamp=$1 base=$backup/base/$1
    label=$(read_label "$base") || label=
    first=${label#* } first=${first%)}
    [ -n "$first" ] || fail 65 "base backup $stamp is damaged: backup_label names no WAL file"
    made_by=
    read -r made_by < "$base/PG_VERSION" || :
    [ "$made_by" = "$major" ] || fail 78 \
        "base backup $stamp is of PostgreSQL $made_by, and this stack runs PostgreSQL $major"
    # What was made after the moment to which the database was once restored leads nowhere.
    [ "$target" = base ] || is_ancestor $((0x${first%????????????????})) "${label%% *}" || return 1
    gap=$(find_gap "$first" "$base")
    if [ -n "$gap" ] && [ -z "$target$accept_gap" ]; then
        fail 65 "WAL file $gap is missing in the backup: nothing after it can be restored"
    fi
    damage=$(pg_verifybackup "$base" 2>&1 > /dev/null) || {
        damage=${damage#*error: }
        fail 65 "base backup $stamp is damaged: ${damage%%
*}"
    }
    rm -rf "$new"
    cp -R "$base" "$new"
    case $target in
        '') set -- ;;
        base) set -- recovery_target=immediate ;;
        *) set -- "recovery_target_$target=$value" "recovery_target_inclusive=$inclusive" ;;
    esac
    if ! recover "$@"; then
        reason=$(find_line "FATAL:  ")
        case $target:$reason in
            *"before consistent recovery point"*) return 1 ;;
            time:*"before configured recovery target"*)
                # Every transaction in the WAL was before that time.
                [ -z "$gap" ] || fail 65 "WAL file $gap is missing in the backup, which may be from before $value"
                recover || fail 65 "$(find_line 'FATAL:  ')"
                ;;
            *:*"before configured recovery target"*)
                [ -z "$gap" ] || fail 65 "WAL file $gap is missing in the backup, and the target is not before it"
                return 1
                ;;
            *) fail 65 "PostgreSQL cannot recover base backup $stamp: ${reason:-$(find_line '')}" ;;
        esac
    fi
}

[ $# -ge 2 ] || fail 2 "usage: restore BACKUP DATA [OPTION…]"
[ ! -e "$2" ] || fail 2 "$2 is there already"
major=$(postgres --version) major=${major#*(PostgreSQL) } major=${major%%[!0-9]*}
backup=$1 data=$2 new=$2.new log=$2.log
shift 2
target='' value='' inclusive=on limit='' accept_gap=''
while [ $# -gt 0 ]; do
    case $1 in
        --accept-gap) accept_gap=yes ;;
        --ended-before) limit=$2 && shift ;;
        --time | --name | --base) target=${1#--} value=$2 && shift ;;
        --before) target=xid value=$2 inclusive=off && shift ;;
        *) fail 2 "unknown option $1" ;;
    esac
    shift
done
umask 077
# In the unit of a drill, the server that replays would say READY and STOPPING for the whole service.
unset NOTIFY_SOCKET
trap interrupt INT TERM

# Newest first; the name is the time at which the backup began.
bases=
for facts in "$backup"/base/*T*Z.json; do
    stamp=${facts##*/} stamp=${stamp%.json}
    [ -d "$backup/base/$stamp" ] || continue
    [ "$target" != base ] || [ "$stamp" = "$value" ] || continue
    [ -z "$limit" ] || [ "$(ended_at "$stamp")" \< "$limit" ] || continue
    bases="$stamp $bases"
done
case $target${limit:+:} in
    base) message="the backup has no base backup $value" ;;
    *:) message="the backup has no base backup that ended before $limit" ;;
    *) message="the backup has no base backup" ;;
esac
[ -n "$bases" ] || fail 69 "$message"
for stamp in $bases; do
    if try "$stamp"; then
        echo "base=$stamp"
        echo "last=$(find_line 'last completed transaction was at log time ')"
        rm -rf "$log"
        mv "$new" "$data"
        exit 0
    fi
done
case $target in
    name) fail 66 "the backup has no restore point $value" ;;
    *) fail 66 "the backup does not reach back to the target" ;;
esac
