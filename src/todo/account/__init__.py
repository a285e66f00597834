"""A user's own account: its time zone and its deletion."""
