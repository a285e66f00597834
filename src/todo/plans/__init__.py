"""Plans: previewed changes that are later applied exactly as previewed, or not at all."""
