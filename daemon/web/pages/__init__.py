"""The console: pages, the forms on them, and how values are shown."""
