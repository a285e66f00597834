"""Entry point of `python -m todo`."""

import gc
import sys

# Nothing that the imports make is garbage; looking for some takes a tenth of the start.
# The server enables collection when it serves.
gc.disable()

from todo.server import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
