"""After a crash, a lost job log, or simply time: reconcile, rebuild, verify, remove."""
