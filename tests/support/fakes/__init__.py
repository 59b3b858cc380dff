"""Processors that misbehave, for the tests; named in config.toml as "fakes.<module>"."""
