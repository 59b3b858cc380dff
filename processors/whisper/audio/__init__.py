"""From a file to samples: decoding, declared duration, voice activity detection."""
