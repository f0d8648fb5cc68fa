"""Clips of speech and their mel spectra."""
