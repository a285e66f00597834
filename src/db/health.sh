#!/bin/sh
# Whether the server hangs. To start, to recover or to be slow is not to hang.
set -u
process=${1:-/proc/1}

# Until the entry point becomes the server, it makes the data directory.
read -r name < "$process/comm"
[ "$name" = postgres ] || exit 0

pg_isready --quiet --host="$DB_SOCKET_DIR" --timeout=2
case $? in
    # 1: the server refuses connections while it starts or recovers.
    0 | 1) exit 0 ;;
esac

# No answer. A server that runs, or waits for a processor (R) or its disk (D), is only slow.
read -r _ _ state _ < "$process/stat"
case $state in
    R | D) exit 0 ;;
esac
exit 1
