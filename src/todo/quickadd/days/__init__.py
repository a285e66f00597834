"""Days that a text names."""
