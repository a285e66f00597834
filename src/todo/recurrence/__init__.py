"""Tasks that come again: rules after RFC 5545, and the due of the next instance."""
