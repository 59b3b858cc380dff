"""Whisper's weights: catalogue, places, download, conversion."""
