"""Questions about ambiguous texts."""
