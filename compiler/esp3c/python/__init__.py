"""Reads Python definitions from source text, without importing anything."""
