"""Metrics for Prometheus: collecting, counting, serving."""
