"""What sends work on its way and tells how it goes: files that appear whole, progress on the console.

Nothing in this package knows of speech, of torch or of ESPnet3.
"""
