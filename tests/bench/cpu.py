"""CPU time of a service and of its PostgreSQL so far, in seconds, as a JSON array.

Runs where their processes are visible, on the host or in a lab, with the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Print the CPU time of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", type=int, help="process ID of the service")
    parser.add_argument("postmaster", type=int, help="process ID of PostgreSQL's main process")
    options = parser.parse_args()
    sys.stdout.write(json.dumps([server_s(options.server), database_s(options.postmaster)]))
    return 0


def server_s(pid: int) -> float:
    """User and system time of a process with all its threads, ended ones too."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def database_s(pid: int) -> float:
    """CPU time of a PostgreSQL: of the processes that run, and of those that have ended."""
    ended = sum(map(int, _stat(pid)[13:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ended + sum(_runtime_s(number) for number in (str(pid), *children))


def _runtime_s(pid: str) -> float:
    # In nanoseconds, where `stat` has hundredths of a second: there are many small processes.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    sys.exit(main())
