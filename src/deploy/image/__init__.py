"""Images: their builds with Buildah, their content and their sizes."""
