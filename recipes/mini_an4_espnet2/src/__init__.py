"""What ESPnet2 does not bring: the text for the tokenizer, and decoding."""
