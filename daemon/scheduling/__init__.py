"""Choice of the next job and its worker: worker pools, models in memory, retries, pauses."""
