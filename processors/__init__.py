"""The processors: code that turns one dropped file into result files.

Each processor is a module (or package) of this folder that has a class attribute `processor`, a subclass of
`processors.contract.Processor`. The daemon imports these modules to validate `config.toml`, so they import their engine
(torch, transformers, …) only inside `load()`. `plaintext.py` is the example to copy.
"""
