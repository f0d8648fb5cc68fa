"""What a hand-written recipe begins with, one folder a task."""
