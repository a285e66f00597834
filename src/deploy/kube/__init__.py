"""Kubernetes manifest, compiled from the units."""
