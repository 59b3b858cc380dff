"""A processor whose module cannot be imported."""

raise RuntimeError("a library is missing")
