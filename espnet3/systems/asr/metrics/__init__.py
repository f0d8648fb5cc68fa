"""Error rates of speech recognition."""
