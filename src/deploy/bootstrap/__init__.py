"""Bootstrap: the code that runs before the private environment exists. Standard library only."""
