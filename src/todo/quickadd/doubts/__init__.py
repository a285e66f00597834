"""Questions that a text leaves open."""
