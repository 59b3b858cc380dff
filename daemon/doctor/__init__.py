"""`inboxd doctor`: what is to be looked at, and the command that mends it."""
