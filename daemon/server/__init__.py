"""The running daemon: the main loop, its mailbox, periodic tasks, and the control socket."""
