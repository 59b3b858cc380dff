"""openai-whisper's network and rules, for many windows at once: `decoding` is the way in.

Knows nothing of files, jobs or speech: spectrograms and `DecodingOptions` in, `DecodingResult`s out.
"""
