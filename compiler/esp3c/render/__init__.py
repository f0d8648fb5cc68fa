"""Diagnostics for people and programs: one renderer a module, all from the same data."""
