"""Trained models for others: a bundle of one, a page that shows it, and both on a model hub."""
