"""Bank statements with known contents, in layouts that the author of the reader did not draw: see `__main__`."""
