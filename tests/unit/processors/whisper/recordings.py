"""Writes recordings with PyAV: tracks, timestamps and formats as recorders and editors leave them."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE_HZ = 48_000


def tone(seconds: float, hertz: float = 440.0, level: float = 0.5, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def write_film(
    path: Path,
    *sounds: Sequence[tuple[float, np.ndarray]],
    codec: str = "aac",
    picture_seconds: float = 0.0,
    tags: Sequence[dict[str, str]] = (),
    flags: Sequence[int] = (),
) -> Path:
    """A file with one sound track for each of `sounds`: stretches with the second at which each starts.

    picture_seconds: a picture from second 0. tags, flags: the metadata and the dispositions of the sound tracks.
    """
    with av.open(str(path), "w") as film:
        picture = film.add_stream("mpeg4" if path.suffix != ".webm" else "libvpx", rate=5) if picture_seconds else None
        tracks = [film.add_stream(codec, rate=RATE_HZ, layout="mono") for _ in sounds]
        for track, tag in zip(tracks, tags, strict=False):
            track.metadata.update(tag)
        for track, flag in zip(tracks, flags, strict=False):
            track.disposition = av.stream.Disposition(flag)
        packets = []
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
            picture.codec_context.thread_count = 1  # the threads of libvpx would take five times as much CPU time
            for number in range(round(picture_seconds * 5)):
                frame = av.VideoFrame(64, 64, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 5)
                packets += picture.encode(frame)
            packets += picture.encode(None)
        for track, stretches in zip(tracks, sounds, strict=True):
            for frame in _frames(track, stretches):
                packets += track.encode(frame)
            packets += track.encode(None)
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            film.mux(packet)
    return path


def _frames(track: av.AudioStream, stretches: Iterable[tuple[float, np.ndarray]]) -> Iterable[av.AudioFrame]:
    form = track.codec_context.format.name
    size = track.codec_context.frame_size or 1024
    for start, samples in stretches:
        for at in range(0, len(samples), size):
            piece = samples[None, at : at + size]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(_as(form, piece)), format=form, layout="mono")
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = round(start * RATE_HZ) + at
            yield frame


def _as(form: str, samples: np.ndarray) -> np.ndarray:
    """The samples in one of FFmpeg's formats."""
    match form.removesuffix("p"):
        case "flt":
            return samples
        case "u8":
            return (samples * 127 + 128).astype(np.uint8)
        case "s32":
            return (samples * 0x7FFF_FF00).astype(np.int32)
    return (samples * 32767).astype(np.int16)


def write_wave(
    path: Path, samples: np.ndarray, *, rate_hz: int = 16_000, before: bytes = b"", after: bytes = b"", **header: int
) -> Path:
    """A WAV file. samples: (n_samples,) or (n_samples, n_channels), int16 or float32. before, after: chunks around the
    data. header: `data_bytes`, the size in the header if it is wrong."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    width, form = samples.dtype.itemsize, 3 if samples.dtype.kind == "f" else 1
    data, size = samples.tobytes(), header.get("data_bytes", samples.nbytes)
    head = struct.pack("<HHIIHH", form, channels, rate_hz, rate_hz * channels * width, channels * width, width * 8)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + before + b"data" + struct.pack("<I", size) + data + after
    path.write_bytes(b"RIFF" + struct.pack("<I", min(len(body), 0xFFFF_FFFF)) + body)
    return path


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
