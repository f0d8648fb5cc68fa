"""What every metric has in common."""
