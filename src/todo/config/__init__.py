"""Options: their parsing, and their reference."""
