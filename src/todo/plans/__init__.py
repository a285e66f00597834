"""Plans: changes that are described first, and applied later as described or not at all."""
