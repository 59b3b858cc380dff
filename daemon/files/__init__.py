"""The folders of a daemon, and how files move between them."""
