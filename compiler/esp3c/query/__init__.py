"""Questions about a place of a recipe: what may stand there, what it means, where it comes from.

Pure functions over a `View`, in offsets; what an editor's protocol makes of the answers is `esp3c.lsp`'s business.
"""
