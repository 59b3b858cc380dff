"""The engines, which transcribe samples into segments, and their batching."""
