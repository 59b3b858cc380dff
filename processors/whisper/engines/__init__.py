"""The engines, which transcribe samples into segments, and their batching."""

from processors.whisper.decoder import time_warping

time_warping.install()  # before a module here imports whisper
