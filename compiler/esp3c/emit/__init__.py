"""The files of a recipe, as text. Nothing here touches the disk; `recipe.py` is where to begin."""
