"""Deployment: code that builds, checks, installs and tests the service; not part of an image."""
