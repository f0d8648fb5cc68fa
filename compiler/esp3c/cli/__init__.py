"""The command line: one module a command. The only place that reads recipes, writes files and prints."""
