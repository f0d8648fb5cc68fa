"""The data of this recipe."""
