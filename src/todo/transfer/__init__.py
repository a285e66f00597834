"""Tasks that come in from elsewhere."""
