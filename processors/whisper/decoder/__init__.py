"""openai-whisper's encoder, decoder and decoding rules for batches of windows; the entry point is `decoding`.

Knows nothing of files, jobs or speech: spectrograms and `DecodingOptions` in, `DecodingResult`s out.
"""

from processors.whisper.decoder import time_warping

time_warping.install()  # before a module here imports whisper
