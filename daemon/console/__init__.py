"""What a person sees in a terminal: tables, the live view, the man page, what the shell completes."""
