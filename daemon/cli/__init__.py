"""The `inboxd` command and its output in a terminal."""
