"""From a dataset reference in a config to padded batches.

Nothing is imported here: a dataset module or a builder is loaded without torch.
"""
