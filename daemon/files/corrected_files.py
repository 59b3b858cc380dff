"""The names of what people's corrections leave beside a result, and of what prepares them."""

FOLDER = "corrected"  # in a result: the corrected files
RECORD = "corrections.json"  # in it: every correction, with who made it and when
PREPARED = "corrections"  # in state/: a folder for each correction that a client prepares
