"""Who the caller is: bearer tokens."""
