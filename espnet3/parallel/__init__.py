"""Work over many items: a provider builds what the work needs, a runner does it and writes what comes
out."""
