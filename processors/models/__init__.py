"""The model store: the folder of downloaded weights, managed by `processors.models_cli`.

`storage` writes files atomically and durably, `hub` downloads vision-language models, and `processors.whisper.weights`
downloads Whisper's. Nothing here imports an engine.
"""
