"""Units: parsing, checking and compiling Quadlet and systemd files."""
