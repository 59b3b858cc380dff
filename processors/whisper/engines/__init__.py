"""The engines: who turns samples into segments, and in which batches."""
