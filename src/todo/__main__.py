"""Entry point of `python -m todo`."""

import gc
import signal
import sys

# Process 1 of a container ignores a signal that it has no handler for: without this, a stop
# during the imports would wait until it is killed. The server installs its own.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

# Nothing that the imports make is garbage; looking for some takes a tenth of the start.
# The server enables collection when it serves.
gc.disable()

from todo.server import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
