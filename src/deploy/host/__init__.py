"""Host of the stack: its capabilities, packages, volumes and control groups."""
