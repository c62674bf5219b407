"""Where files are, and which of them are unfinished."""
