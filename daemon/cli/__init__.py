"""The `inboxd` command and all that it shows in a terminal."""
