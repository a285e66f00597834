"""Code that runs before the private environment exists. Standard library only."""
