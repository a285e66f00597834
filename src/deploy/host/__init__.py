"""The host: what it can run, its packages, volumes and cgroups."""
