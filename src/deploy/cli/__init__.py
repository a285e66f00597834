"""The subcommands of `build.py`, one module each: read switches, call one function."""
