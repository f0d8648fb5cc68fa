"""Tokenizers that are trained from a recipe's text."""
