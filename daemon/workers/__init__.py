"""Worker processes: start, feed, listen, kill."""
