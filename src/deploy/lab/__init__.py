"""Throwaway machines with systemd and Podman, wherever there is root.

Its face is `labs`, which starts, finds and stops them, and gives a `Lab` to run programs in. What
others know besides is where a lab keeps what (`root`), and which of them run (`state`). A `keeper`
is a process of its own.
"""
