"""The daemon: owns files, jobs and workers; never imports torch, transformers or whisper."""

__version__ = "0.1.0"
