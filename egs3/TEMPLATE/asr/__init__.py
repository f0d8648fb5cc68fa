"""What a hand-written recipe of speech recognition begins with."""
