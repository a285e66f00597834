"""Memory after a start; `build.py bench start` measures its duration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.stack_in_lab import Stack

# What there is now and 4 MiB: an import of any weight shows, and is then a decision.
MAX_MIB = 86.0
_SETTLE_S = 2.0


def test_the_idle_backend_with_its_database_stays_within_its_memory(stack: Stack) -> None:
    stack.systemctl("restart", "todo-backend")
    stack.wait_ready()
    time.sleep(_SETTLE_S)

    assert stack.pss_mib(stack.server_pid()) <= MAX_MIB
