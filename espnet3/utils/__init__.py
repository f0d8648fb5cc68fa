"""Helpers of the framework: configs, stages, logs, SCP files. Importing this package imports none of
them."""
