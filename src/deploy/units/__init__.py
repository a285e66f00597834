"""Parser, validation and compiler of Quadlet and systemd units."""
