"""Speech recognition: the base system with a tokenizer, and its metrics."""
