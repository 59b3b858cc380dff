"""HTTP APIs of other programs, so that their clients can use inboxd; one module for each.

Responses, including errors, have the format of those programs. Each uploaded file becomes a job like any other: it
passes through the inbox folder `api`, whose recipes and options config.toml may set, and its result is in the outbox.
"""
