"""Word timestamps by openai-whisper: cross-attention weights of its decoder, aligned by dynamic time warping."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor
from whisper.model import Whisper
from whisper.timing import add_word_timestamps
from whisper.tokenizer import Tokenizer

from processors.whisper.track.segment import Segment, Word

# The defaults of `whisper.transcribe`.
PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"


def time_words(
    segments: Sequence[Segment],
    model: Whisper,
    tokenizer: Tokenizer,
    mel: Tensor,
    num_frames: int,
    last_speech_seconds: float,
) -> list[Segment]:
    """The segments of one window with their words; the times of the segments follow those of the words.

    mel: the window's spectrogram (n_mels, 3000), on the model's device, of which `num_frames` are sound.
    last_speech_seconds: end of the last word before this window.
    """
    timed = [segment.as_json() for segment in segments]
    add_word_timestamps(
        segments=timed,
        model=model,
        tokenizer=tokenizer,
        mel=mel,
        num_frames=num_frames,
        prepend_punctuations=PREPENDED_PUNCTUATION,
        append_punctuations=APPENDED_PUNCTUATION,
        last_speech_timestamp=last_speech_seconds,
    )
    return [
        replace(
            segment,
            start=float(found["start"]),
            end=float(found["end"]),
            words=tuple(
                Word(
                    word=each["word"],
                    start=float(each["start"]),
                    end=float(each["end"]),
                    probability=float(each["probability"]),
                )
                for each in found["words"]
            ),
        )
        for segment, found in zip(segments, timed, strict=True)
    ]
