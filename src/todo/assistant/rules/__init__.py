"""What a message means, computed without I/O."""
