"""The caller's account: its time zone and its deletion."""
