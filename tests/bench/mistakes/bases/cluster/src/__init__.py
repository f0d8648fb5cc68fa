"""A deep recogniser."""
