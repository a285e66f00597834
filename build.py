#!/usr/bin/env python3
"""Entry point of the build tool: `python3 build.py --help` lists the commands.

It starts on any Python from 3.11 on, without installed packages: the packages that the commands
import are installed from a lock into a private environment, in which this file then runs again.
The commands are in src/deploy/cli.
"""

import os
import sys

# Code above this check must also run on older versions of Python.
if sys.version_info < (3, 11):  # noqa: UP036 - this is the version check
    sys.stderr.write(
        "build.py: error: Python 3.11 or newer is needed, this is %s (%s)\n"  # noqa: UP031
        % (sys.version.split()[0], sys.executable)
    )
    sys.exit(78)

# pathlib is not used: Ctrl-C during its slow import would print a traceback.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "src"))  # noqa: PTH118, PTH120


def main() -> int:
    """Run the command on the command line and return its exit code."""
    # They are imported while `guard` runs, because it handles Ctrl-C.
    from deploy.bootstrap import commands, venv  # noqa: PLC0415
    from deploy.cli import listing  # noqa: PLC0415

    words = sys.argv[1:]
    if listing.answer(words):
        return 0
    environment = commands.find_environment(words, os.environ)
    venv.enter(environment, install=commands.may_install(words))
    from deploy.cli.main import Build  # noqa: PLC0415 - needs the packages of the environment

    return Build.start(sys.argv)


if __name__ == "__main__":
    try:
        from deploy.bootstrap.entrypoint import guard
    except KeyboardInterrupt:
        sys.stderr.write("build.py: interrupted\n")
        sys.exit(130)
    sys.exit(guard(main))
