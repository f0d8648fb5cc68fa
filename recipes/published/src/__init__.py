"""The model and the helpers of this recipe."""
