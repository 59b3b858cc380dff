"""Transcription of one sound track, from its samples to a transcript."""
