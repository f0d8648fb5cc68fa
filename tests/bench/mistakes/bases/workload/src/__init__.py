"""A tagger of sounds."""
