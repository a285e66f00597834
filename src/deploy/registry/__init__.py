"""Registries: signing, pushing and pulling images with skopeo."""
