"""Options: parsing, validation and reference."""
