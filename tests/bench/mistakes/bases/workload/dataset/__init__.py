"""Short sounds with a tag each."""
