"""Large blocks return to the system."""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[4] / "src"
PROGRAM = """
import sys
from todo.server.allocator import map_large_blocks

if sys.argv[1] == "mapped":
    assert map_large_blocks()

def read_rss_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024

before = read_rss_mib()
bytearray(4_000_000)
# What stays lies between what goes.
answers, others = [], []
for _ in range(50):
    answers.append(bytearray(2_000_000))
    others.append(bytearray(50_000))
answers.clear()
print(read_rss_mib() - before)
"""


def measure(how: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def test_the_memory_of_large_blocks_returns_to_the_system() -> None:
    assert measure("mapped") < 20 < measure("default")
