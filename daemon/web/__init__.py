"""The console and the HTTP API: `inboxd web`, a process of its own beside the daemon.

It reads the job log and the outbox, puts uploads into the inbox, and asks the daemon through its control socket. It
changes no job and no result itself, and keeps no state that a restart would lose.
"""
