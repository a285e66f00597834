"""The deployment: builds, checks, installs and tests the service; never part of an image."""
