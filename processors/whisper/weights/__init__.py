"""Whisper's weights: catalogue, locations, download, conversion."""
