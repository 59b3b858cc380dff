"""The rule of `whisper.transcribe` for windows without speech, based on the decoder's results; for both modes. Pure."""

from whisper.decoding import DecodingResult

from processors.whisper.options import TranscribeOptions


def is_silence(result: DecodingResult, options: TranscribeOptions) -> bool:
    """True if the window has no speech: the model doubts it, and the text is not probable enough to keep."""
    threshold = options.logprob_threshold
    return doubts_speech(result, options) and (threshold is None or result.avg_logprob <= threshold)


def doubts_speech(result: DecodingResult, options: TranscribeOptions) -> bool:
    """True if the probability of no speech, 0 to 1, is above its threshold."""
    threshold = options.no_speech_threshold
    return threshold is not None and result.no_speech_prob > threshold


def is_unsure(result: DecodingResult, options: TranscribeOptions) -> bool:
    """True if the mean natural logarithm of the tokens' probabilities is below its threshold."""
    threshold = options.logprob_threshold
    return threshold is not None and result.avg_logprob < threshold
