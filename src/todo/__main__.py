"""Entry point of `python -m todo`."""

import gc
import os
import signal
import sys
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    # Nothing that needs closing is open yet.
    os._exit(0)


# Process 1 of a container ignores signals without a handler: a stop during the imports would wait
# for the manager's timeout. The server installs its own handlers.
signal.signal(signal.SIGTERM, _leave)
signal.signal(signal.SIGINT, _leave)

# Imports create no garbage, and collection takes a tenth of the startup; the server enables it.
gc.disable()

from todo.server.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
