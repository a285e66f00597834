"""Journal: the record of all changes, for sync, events, history and undo."""
