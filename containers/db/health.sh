#!/bin/sh
# Whether the server hangs. To start, to recover or to be slow is not to hang.
set -u
process=${1:-/proc/1}

read -r name < "$process/comm"
if [ "$name" = podman-init ]; then
    # RunInit=true: process 1 is Podman's init, and what this image starts is its child.
    read -r child _ < "$process/task/1/children"
    process=${process%/*}/$child
    read -r name < "$process/comm"
fi

# Until the entry point becomes the server, it makes the data directory.
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
