"""Measure the diarization error rate on conversations mixed from recordings of known speakers.

`python -m benchmarks.diarization --audio FOLDER [--models MODELS] [--write]` mixes conversations of two to four of the
voices below, with turns of one to seven seconds, and writes benchmarks/SPEAKERS.md. The error rate is that of NIST's
RT evaluations: speech missed, invented or given to another speaker, as a share of all speech, without 0.25 s around
each border. The speakers were recorded with different equipment, which makes them easier to tell apart than those of
one room.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from processors.contract import Progress
from processors.whisper.audio import reader, vad
from processors.whisper.audio.parts import SAMPLE_RATE_HZ
from processors.whisper.speakers import weights
from processors.whisper.speakers.clustering import Count
from processors.whisper.speakers.embeddings import VoiceEncoder
from processors.whisper.track.turns import Turn, diarize

RESULTS = Path(__file__).parent / "SPEAKERS.md"
VOICES = {
    "Kennedy": ("jfk.flac",),
    "LJ Speech": ("LJ001-0001.wav", "LJ001-0003.m4a", "LJ001-0004.flac", "LJ001-0005.opus", "LJ001-0006.ogg"),
    "Sonnet": ("sonnet1.mp3",),
    "LibriSpeech 2412": ("ls-2412-153948-0000.opus",),
    "MFA": ("mfa-cold_corpus.wav",),
    "Spanish": ("mls-es.opus",),
    "German": ("book-de.mp3",),
}
_FRAMES_PER_SECOND = 100
_COLLAR_SECONDS = 0.25
_FIRST_SEED = 100  # smaller ones were used to choose the thresholds
_SECONDS = 60.0  # of a conversation


@dataclass(frozen=True, kw_only=True)
class Conversation:
    samples: np.ndarray
    turns: tuple[Turn, ...]  # who really speaks


def error_rate(truth: tuple[Turn, ...], found: tuple[Turn, ...], collar_seconds: float = _COLLAR_SECONDS) -> float:
    """Missed, invented and confused speech as a share of the true speech, with the best pairing of the speakers."""
    seconds = max(turn.end for turn in (*truth, *found)) + 1
    true, guessed = _frames(truth, seconds), _frames(found, seconds)
    counted = np.ones(len(true), bool)
    for edge in (edge for turn in truth for edge in (turn.start, turn.end)):
        first = max(0, round((edge - collar_seconds) * _FRAMES_PER_SECOND))
        counted[first : round((edge + collar_seconds) * _FRAMES_PER_SECOND)] = False
    true, guessed = true[counted], guessed[counted]
    names, candidates = range(1, true.max() + 1), list(range(1, guessed.max() + 1))
    candidates += [0] * max(0, len(names) - len(candidates))
    both = (true > 0) & (guessed > 0)
    correct = max(
        sum(int((both & (true == name) & (guessed == other)).sum()) for name, other in zip(names, order, strict=False))
        for order in itertools.permutations(candidates, len(names))
    )
    speech = int((true > 0).sum())
    return (max(speech, 0) - correct + int(((true == 0) & (guessed > 0)).sum())) / speech


def _frames(turns: tuple[Turn, ...], seconds: float) -> np.ndarray:
    frames = np.zeros(round(seconds * _FRAMES_PER_SECOND), int)
    for turn in turns:
        frames[round(turn.start * _FRAMES_PER_SECOND) : round(turn.end * _FRAMES_PER_SECOND)] = turn.speaker
    return frames


def conversation(stretches: dict[str, list[np.ndarray]], speakers: int, seed: int) -> Conversation:
    """Turns of some of the voices. stretches: the speech of each voice."""
    rng = np.random.default_rng(seed)
    chosen = list(rng.choice(sorted(stretches), speakers, replace=False))
    pieces, turns, at, last = [], [], 0, ""
    while at < _SECONDS * SAMPLE_RATE_HZ:
        name = str(rng.choice([name for name in chosen if name != last]))
        sound = stretches[name][rng.integers(len(stretches[name]))]
        length = round(min(rng.uniform(1.0, 7.0) * SAMPLE_RATE_HZ, len(sound)))
        start = int(rng.integers(len(sound) - length + 1))
        piece = sound[start : start + length]
        level = 10 ** (rng.uniform(-28, -22) / 20)
        piece = piece * (level / max(1e-6, float(np.sqrt(np.mean(piece**2)))))
        pause = np.zeros(round(rng.uniform(0.1, 0.8) * SAMPLE_RATE_HZ), np.float32)
        turns.append(
            Turn(start=at / SAMPLE_RATE_HZ, end=(at + length) / SAMPLE_RATE_HZ, speaker=chosen.index(name) + 1)
        )
        pieces += [piece.astype(np.float32), pause]
        at, last = at + length + len(pause), name
    hiss = rng.standard_normal(at).astype(np.float32) * 0.001
    return Conversation(samples=np.concatenate(pieces) + hiss, turns=tuple(turns))


def speech_of(audio: Path, detector: vad.Detector) -> dict[str, list[np.ndarray]]:
    """The speech of each voice, without pauses."""
    found: dict[str, list[np.ndarray]] = {}
    for name, files in VOICES.items():
        sounds = [_speech(audio / file, detector) for file in files if (audio / file).is_file()]
        if sounds:
            found[name] = sounds
    return found


def _speech(path: Path, detector: vad.Detector) -> np.ndarray:
    with reader.open_track(path) as track:
        sound = np.concatenate([block.samples for block in track.blocks()])
    spans = detector.spans(sound)
    return np.concatenate([sound[round(s.start * SAMPLE_RATE_HZ) : round(s.end * SAMPLE_RATE_HZ)] for s in spans])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("state/models"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    detector = vad.Detector()
    encoder = VoiceEncoder(weights.load(arguments.models, Progress(lambda message: None)))
    stretches = speech_of(arguments.audio, detector)
    lines = [
        "# Speaker diarization",
        "",
        f"Diarization error rate (%) for conversations of {_SECONDS:.0f} s, mixed from recordings of {len(stretches)} "
        "speakers and measured by `python -m benchmarks.diarization`. The rate includes the errors of the voice "
        "activity detector.",
        "",
        "| speakers | conversations | error, number given | error, number detected | correct number detected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for speakers in (1, 2, 3, 4):
        rates, right = [], 0
        for seed in range(_FIRST_SEED, _FIRST_SEED + arguments.seeds):
            made = conversation(stretches, speakers, seed) if speakers > 1 else _monologue(stretches, seed)
            voices = encoder.voices(made.samples, detector.spans(made.samples), 0.0)
            given = diarize(voices, Count(least=speakers, most=speakers))
            found = diarize(voices, Count())
            rates.append((error_rate(made.turns, given.turns), error_rate(made.turns, found.turns)))
            right += found.speakers == speakers
            print(speakers, seed, [f"{100 * rate:.1f}" for rate in rates[-1]], found.speakers, flush=True)
        with_number, automatic = (100 * float(np.mean(each)) for each in zip(*rates, strict=True))
        lines.append(
            f"| {speakers} | {arguments.seeds} | {with_number:.1f} | {automatic:.1f} | {right} of {arguments.seeds} |"
        )
    print("\n".join(lines))
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _monologue(stretches: dict[str, list[np.ndarray]], seed: int) -> Conversation:
    names = sorted(stretches)
    sound = np.concatenate(stretches[names[seed % len(names)]])[: round(_SECONDS * SAMPLE_RATE_HZ)]
    return Conversation(samples=sound, turns=(Turn(start=0.0, end=len(sound) / SAMPLE_RATE_HZ, speaker=1),))


if __name__ == "__main__":
    main()
