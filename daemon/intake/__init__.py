"""From a file in the inbox to a queued job: notice it, wait until it is complete, take it."""
