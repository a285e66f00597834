"""The stack of one user on this machine: its units, their life, their state."""
