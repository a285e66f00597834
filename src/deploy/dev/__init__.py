"""Development: the server with reload, lock files, the test suite."""
