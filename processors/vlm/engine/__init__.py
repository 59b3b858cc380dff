"""The engines: a local model by transformers, or a server."""
