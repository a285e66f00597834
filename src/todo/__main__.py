"""Entry point of `python -m todo`."""

import sys

from todo.server import main

if __name__ == "__main__":
    sys.exit(main())
