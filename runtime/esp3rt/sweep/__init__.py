"""A recipe with each combination of some values: `python -m esp3rt.sweep SPEC`."""
