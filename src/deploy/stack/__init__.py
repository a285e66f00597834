"""The stack of one user on this machine: installation, lifecycle and status."""
