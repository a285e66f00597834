"""Tasks of one owner: create, list, read, change, complete, delete."""
