"""HTTP APIs of other programs, so that their clients can use inboxd; one module for each.

They answer in the shapes of those programs, errors included. A file is a job like any other: it goes through the inbox
folder `api`, whose recipes and options config.toml may set, and its result is in the outbox.
"""
