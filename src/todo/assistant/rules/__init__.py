"""Rules that interpret a message, without I/O."""
