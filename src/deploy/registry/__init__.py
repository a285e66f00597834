"""Registries: pushing, signing and verifying images with skopeo."""
