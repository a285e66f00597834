#!/bin/sh
# Retention: which backups to keep. Prints a line for each: "daily STAMP", "weekly STAMP" or "monthly
# STAMP", newest first. Usage: keep-backups DAILY WEEKLY MONTHLY STAMP…, the stamps sorted, as
# 20261130T031500Z. Pure: it reads and removes nothing.
#
# Of each of the newest so many days, weeks (from Monday on) and months that have a backup, the newest
# one is kept. Days without a backup do not count, so nothing is removed only because it is old.
set -eu

# Sets week to the number of weeks since 1970. Usage: find_week YYYYMMDD
find_week() {
    m=${1#????} m=${m%??} d=${1#??????} y=${1%????}
    # A leading zero would make them octal.
    m=${m#0} d=${d#0}
    # In years that begin in March, February is the last month, so leap days change no other.
    y=$((y - (m <= 2)))
    m=$((m > 2 ? m - 3 : m + 9))
    # 719469 is the number of 1970-01-01, a Thursday.
    week=$(((y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 719469 + 3) / 7))
}

daily=$1 weekly=$2 monthly=$3
shift 3

newest_first=
for stamp; do
    newest_first="$stamp $newest_first"
done

last_day='' last_week='' last_month=''
for stamp in $newest_first; do
    day=${stamp%T*}
    find_week "$day"
    month=${day%??}
    kind=
    if [ "$month" != "$last_month" ] && [ "$monthly" -gt 0 ]; then
        kind=monthly monthly=$((monthly - 1)) last_month=$month
    fi
    if [ "$week" != "$last_week" ] && [ "$weekly" -gt 0 ]; then
        kind=weekly weekly=$((weekly - 1)) last_week=$week
    fi
    if [ "$day" != "$last_day" ] && [ "$daily" -gt 0 ]; then
        kind=daily daily=$((daily - 1)) last_day=$day
    fi
    [ -z "$kind" ] || echo "$kind $stamp"
done
