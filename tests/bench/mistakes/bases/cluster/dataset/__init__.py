"""A corpus in shards: how it is built and read."""
