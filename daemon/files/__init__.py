"""The daemon's folders, and how files move between them."""
