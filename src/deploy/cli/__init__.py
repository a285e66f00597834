"""Commands of `build.py`, one module each: they parse switches and call one function."""
