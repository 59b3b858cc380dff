"""From a file in the inbox to a queued job: find it, wait until it is complete, take it."""
