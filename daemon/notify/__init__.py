"""Notifications: hooks for people and programs, sd_notify for systemd."""
