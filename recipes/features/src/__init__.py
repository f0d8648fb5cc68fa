"""The Python of the recipe: providers and runners."""
