"""The model store: the folder of downloaded weights, and the command `python -m processors.models` that looks after it.

`storage` keeps files whole and durable, `hub` knows the vision-language models, `processors.whisper.weights` Whisper's.
Nothing heavy is imported here.
"""
