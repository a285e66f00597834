"""Client of the model server, independent of tasks and conversations."""
