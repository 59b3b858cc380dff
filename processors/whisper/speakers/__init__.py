"""Speaker diarization: embeddings of voices, clusters of them, and a speaker for every word."""
