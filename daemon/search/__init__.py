"""Full-text search over everything that was read or transcribed.

state/search.db is an index that can be removed and rebuilt from the outbox at any time. Each search brings it up
to date first; at night, the daemon has a separate process remove what [retention] has removed.
"""

NAME = "search.db"  # the index, in the state folder
