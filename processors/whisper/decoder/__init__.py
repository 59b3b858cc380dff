"""openai-whisper's encoder, decoder and decoding rules for batches of windows; the entry point is `decoding`.

Independent of files, jobs and speech: its input is spectrograms and `DecodingOptions`, its output `DecodingResult`s.
"""

from processors.whisper.decoder import time_warping

time_warping.install()  # before a module here imports whisper
