"""Frames of speech, the words that they belong to, a model that tells them apart, and its export."""
