"""The journal: every write appends to it; sync, events, history and undo read it."""
