"""The engines: a local model in transformers, or a server."""
