"""Client of the model server; it knows no tasks."""
