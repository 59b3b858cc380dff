"""Which job runs next, and where: worker pools, models in memory, retries, pauses."""
