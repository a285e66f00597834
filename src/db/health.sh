#!/bin/sh
# Whether the server hangs. Refusing connections, while it starts or recovers, is an answer.
set -u

pg_isready --quiet --host="$DB_SOCKET_DIR" --timeout=2
case $? in
    0 | 1) exit 0 ;;
esac

# No answer. A server that runs, or waits for a processor (R) or its disk (D), is only slow.
read -r _ _ state _ < /proc/1/stat
case $state in
    R | D) exit 0 ;;
esac
exit 1
