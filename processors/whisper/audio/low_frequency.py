"""The low-frequency channel of a layout such as 5.1, which FFmpeg leaves out of a mix.

A recorder with four or six microphones may write a file with such a layout. This channel is then a microphone, too.
"""

import av
import numpy as np

from processors.whisper.audio.frame_repair import by_channel

_NAME = "LFE"
_HIGHEST_HZ = 200.0  # of the channel of a film, which has nothing above 120 Hz; a voice has its power around 500 Hz
_SILENCE = 1e-6  # mean square: -60 dB
_LEAST_SECONDS = 0.1


class LowFrequencyChannel:
    """Searches the low-frequency channel of one track, frame by frame, for sound that no film has there."""

    def __init__(self) -> None:
        self._seconds = 0.0  # of such sound, so far

    def is_microphone(self, frame: av.AudioFrame) -> bool:
        """True if the channel has had sound that no film has there."""
        names = [channel.name for channel in frame.layout.channels]
        if _NAME not in names or frame.samples < 2 or not frame.sample_rate:
            return False
        sound = by_channel(frame)[names.index(_NAME)]
        scale = 1.0 if sound.dtype.kind == "f" else float(np.iinfo(sound.dtype).max)
        sound = sound.astype(np.float64) / scale
        sound -= sound.mean()
        power, change = float(np.mean(sound**2)), float(np.mean(np.diff(sound) ** 2))
        if power > _SILENCE and frame.sample_rate / (2 * np.pi) * np.sqrt(change / power) > _HIGHEST_HZ:
            self._seconds += frame.samples / frame.sample_rate
        return self._seconds >= _LEAST_SECONDS
