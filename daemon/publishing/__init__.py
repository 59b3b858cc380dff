"""From an outcome to a folder in the outbox."""
