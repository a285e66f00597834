"""Quick add: one line of English becomes the fields of a task, without I/O."""
