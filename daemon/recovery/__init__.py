"""Reconciles after a crash, rebuilds a lost job log, verifies, and removes what is old."""
