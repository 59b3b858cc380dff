"""Which windows count as silence, and which ask for another temperature."""

import pytest
import torch
from whisper.decoding import DecodingResult

from processors.whisper.engines import silence
from processors.whisper.options import TranscribeOptions


def result(no_speech_prob: float, avg_logprob: float) -> DecodingResult:
    return DecodingResult(
        audio_features=torch.empty(0), language="en", no_speech_prob=no_speech_prob, avg_logprob=avg_logprob
    )


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "thresholds", "expected"),
    [
        (0.7, -1.5, {}, True),
        (0.7, -1.0, {}, True),  # at the threshold
        (0.7, -0.5, {}, False),  # the text is probable
        (0.6, -1.5, {}, False),  # at the threshold
        (0.7, -0.5, {"logprob_threshold": None}, True),
        (1.0, -9.0, {"no_speech_threshold": None}, False),
    ],
)
def test_window_is_silent_if_the_model_doubts_both_speech_and_text(no_speech_prob, avg_logprob, thresholds, expected):
    options = TranscribeOptions(**thresholds)
    assert silence.is_silence(result(no_speech_prob, avg_logprob), options) is expected


@pytest.mark.parametrize(("threshold", "expected"), [(-1.0, False), (-0.9, True), (None, False)])
def test_text_is_unsure_below_its_threshold_only(threshold, expected):
    options = TranscribeOptions(logprob_threshold=threshold)
    assert silence.is_unsure(result(0.0, -1.0), options) is expected
