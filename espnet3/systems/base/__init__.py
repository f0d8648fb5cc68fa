"""The system that all others start from, and the work behind its stages."""
