"""The console and the HTTP API: `inboxd web`, a process of its own beside the daemon.

The process reads the job log and the outbox, puts uploads into the inbox, and sends commands to the daemon through the
control socket. Only the daemon changes jobs and results. A restart of `inboxd web` interrupts uploads in progress, and
loses nothing else.
"""
