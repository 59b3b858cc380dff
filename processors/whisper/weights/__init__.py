"""Whisper's weights: catalog, locations, download, conversion."""
