"""Images: building them with Buildah, and looking into them."""
