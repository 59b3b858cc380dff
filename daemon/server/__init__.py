"""The running daemon: the main loop and what reaches it."""
