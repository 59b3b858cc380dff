"""Read the samples of a sound file: decoding, declared duration, voice activity detection."""
