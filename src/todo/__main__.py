"""Entry point of `python -m todo`."""

import gc
import os
import signal
import sys
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    # Nothing is open yet that would need closing.
    os._exit(0)


# Process 1 of a container ignores a signal that it has no handler for: without this, a stop
# during the imports would wait until the manager's timeout. The server installs its own.
signal.signal(signal.SIGTERM, _leave)
signal.signal(signal.SIGINT, _leave)

# Nothing that the imports make is garbage; looking for some takes a tenth of the start.
# The server enables collection when it serves.
gc.disable()

from todo.server.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
