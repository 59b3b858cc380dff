"""The model store: the folder of downloaded weights, looked after by `processors.models_cli`.

`storage` keeps files whole and durable, `hub` knows the vision-language models; those of Whisper are known to
`processors.whisper.weights`.
Nothing heavy is imported here.
"""
