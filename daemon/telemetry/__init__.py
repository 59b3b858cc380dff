"""What Prometheus is told, and who counts it."""
