"""A vocoder of two players."""
