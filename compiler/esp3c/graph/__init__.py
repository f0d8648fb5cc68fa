"""What the stages of a recipe need, read and leave: as data (`model.py`), and drawn as SVG, DOT and Mermaid."""
