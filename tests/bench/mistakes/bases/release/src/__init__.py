"""A recogniser of commands."""
