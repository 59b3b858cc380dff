"""What a person sees in a terminal: tables, the live view, what the shell completes."""
