"""Quick add: parses one line of English into the fields of a task, without I/O."""
