"""Development: the server with reload, the lock files and the test suite."""
