"""Lists of tasks, and the users with whom they are shared."""
