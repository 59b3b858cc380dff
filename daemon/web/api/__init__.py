"""API v1: jobs, uploads, commands, the state of the daemon, and their description."""
