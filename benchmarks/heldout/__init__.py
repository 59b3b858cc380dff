"""Bank statements in layouts that the reader's author did not draw, with their truth: see `__main__`."""
