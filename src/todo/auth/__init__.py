"""Authentication with bearer tokens, and the visibility of tasks and lists."""
