"""Part of another recipe's data."""
