"""The networks of the theses, each readable in one file."""
