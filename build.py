#!/usr/bin/env python3
"""Build, run and test the todo backend: `python3 build.py --help` lists the commands.

Any Python from 3.11 on starts it, without any package: what the commands import is kept in a
private environment made from a lock, in which this file then runs again. The commands
are in src/deploy/cli.
"""

import os
import sys

# Nothing above may need a newer Python than the one that is told so here.
if sys.version_info < (3, 11):  # noqa: UP036 - it runs before anybody checked
    sys.stderr.write(
        "build.py: error: Python 3.11 or newer is needed, this is %s (%s)\n"  # noqa: UP031
        % (sys.version.split()[0], sys.executable)
    )
    sys.exit(78)

# Not pathlib: importing it takes long enough for a Ctrl-C to end in a traceback.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "src"))  # noqa: PTH118, PTH120


def main() -> int:
    """Run the command on the command line and return its exit code."""
    # Inside the boundary, so that Ctrl-C is caught.
    from deploy.bootstrap import commands, venv  # noqa: PLC0415
    from deploy.cli import listing  # noqa: PLC0415

    words = sys.argv[1:]
    if listing.answer(words):
        return 0
    environment = commands.find_environment(words, os.environ)
    venv.enter(environment, install=commands.may_install(words))
    from deploy.cli.main import Build  # noqa: PLC0415 - needs what the line above provides

    return Build.start(sys.argv)


if __name__ == "__main__":
    try:
        from deploy.bootstrap.entrypoint import guard
    except KeyboardInterrupt:
        sys.stderr.write("build.py: interrupted\n")
        sys.exit(130)
    sys.exit(guard(main))
