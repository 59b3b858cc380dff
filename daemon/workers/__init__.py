"""Worker processes: starts them, sends them jobs, receives their messages, and kills those that hang."""
