"""Who speaks: clusters of voices, turns, and the speaker of every word."""

import numpy as np
import pytest

from benchmarks.diarization import Conversation, error_rate
from processors.contract import Progress
from processors.whisper import TranscribeOptions
from processors.whisper.audio import vad
from processors.whisper.speakers import weights
from processors.whisper.speakers.clustering import Count, speakers
from processors.whisper.speakers.embeddings import Voice, VoiceEncoder, mel_spectrogram
from processors.whisper.track import review
from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.transcript import Transcript, merge, write
from processors.whisper.track.turns import Turn, assign, diarize
from tests.unit.processors.whisper.test_whisper import KENNEDY, SPOKEN, read_sound, words, write_wav

BLOCK = "LJ001-0004.flac"


def voices_of(*runs: tuple[int, int], spread: float = 0.05, seed: int = 0) -> list[Voice]:
    """Windows every 0.4 s. runs: a speaker and the number of windows."""
    rng = np.random.default_rng(seed)
    centers = np.abs(np.random.default_rng(1).standard_normal((8, 256)))
    found: list[Voice] = []
    for speaker, many in runs:
        for _ in range(many):
            vector = centers[speaker] ** 2 + spread * rng.standard_normal(256)
            start = 0.4 * len(found)
            found.append(Voice(start=start, end=start + 1.6, embedding=vector / np.linalg.norm(vector)))
    return found


def a_turn(start: float, end: float, speaker: int) -> Turn:
    return Turn(start=start, end=end, speaker=speaker)


# ---------------------------------------------------------------------------------------------- clusters


@pytest.mark.parametrize("people", [1, 2, 3, 4])
@pytest.mark.parametrize("count", ["auto", "given"])
def test_speakers_are_found_and_numbered_by_appearance(people, count):
    runs = [(number % people, 12) for number in range(2 * people)]
    found = diarize(voices_of(*runs), Count() if count == "auto" else Count(least=people, most=people))
    assert [turn.speaker for turn in found.turns] == ([1] if people == 1 else [*range(1, people + 1)] * 2)
    assert found.speakers == people and found.alike == ()


def test_number_of_speakers_limits_the_clusters():
    voices = voices_of((0, 20), (1, 20), (2, 20))
    assert diarize(voices, Count(most=2)).speakers == 2
    assert diarize(voices_of((0, 40), spread=1.0), Count(least=2)).speakers == 2


def test_few_outlier_windows_do_not_become_a_speaker():
    voices = voices_of((0, 40), (3, 2), (0, 40), (1, 40))
    assert diarize(voices, Count()).speakers == 2


def test_clustering_of_many_windows_takes_bounded_time():
    labels, centroids = speakers(np.stack([v.embedding for v in voices_of((0, 2000), (1, 2000))]), Count())
    assert len(centroids) == 2 and len(set(labels[:1990])) == 1 and len(set(labels[2010:])) == 1


def test_no_speech_gives_no_turns():
    assert diarize([], Count()).turns == () and diarize([], Count()).speakers == 0
    assert diarize(voices_of((0, 1)), Count()).speakers == 1


def test_turns_do_not_overlap_and_change_halfway():
    turns = diarize(voices_of((0, 20), (1, 20)), Count()).turns
    assert turns[0].end == turns[1].start == pytest.approx(8.6, abs=0.5)


# ---------------------------------------------------------------------------------------------- words


def a_segment(text: str, start: float = 0.0, seconds_per_word: float = 0.5) -> Segment:
    timed = tuple(
        Word(
            word=f" {word}", start=start + at * seconds_per_word, end=start + (at + 1) * seconds_per_word, probability=1
        )
        for at, word in enumerate(text.split())
    )
    return Segment(text=f" {text}", start=start, end=timed[-1].end, words=timed)


def test_segment_is_split_at_the_word_where_the_speaker_changes():
    found = assign([a_segment("How are you fine thanks")], [a_turn(0, 1.5, 1), a_turn(1.5, 3, 2)], ["Anna", "Ben"])
    assert [(one.speaker, one.text, one.start, one.end, one.id) for one in found] == [
        ("Anna", " How are you", 0.0, 1.5, 0),
        ("Ben", " fine thanks", 1.5, 2.5, 1),
    ]
    assert [len(one.words) for one in found] == [3, 2]


def test_without_word_timestamps_a_segment_is_split_by_its_share_of_time():
    segment = Segment(text=" How are you? Fine, thanks.", start=0.0, end=4.0)
    found = assign([segment], [a_turn(0, 2.0, 1), a_turn(2.0, 4.0, 2)], [])
    assert [(one.speaker, one.text) for one in found] == [
        ("Speaker 1", " How are you?"),
        ("Speaker 2", " Fine, thanks."),
    ]


def test_short_island_belongs_to_the_sentence_around_it():
    turns = [a_turn(0, 1, 1), a_turn(1, 1.3, 2), a_turn(1.3, 4, 1)]
    (found,) = assign([a_segment("one two three four five", seconds_per_word=0.3)], turns, [])
    assert found.speaker == "Speaker 1"


def test_speaker_of_words_outside_all_turns_is_the_nearest():
    turns = [a_turn(0, 1, 1), a_turn(5, 6, 2)]
    assert [one.speaker for one in assign([a_segment("Well", 4.4)], turns, [])] == ["Speaker 2"]
    assert assign([a_segment("Well")], [], []) == [a_segment("Well")]


def test_every_format_names_the_speakers(tmp_path):
    segments = assign([a_segment("How are you fine thanks")], [a_turn(0, 1.5, 1), a_turn(1.5, 3, 2)], ["Anna", "Ben"])
    found = Transcript(segments=tuple(segments), language="en", seconds=3.0, speakers=("Anna", "Ben"))
    formats = ("txt", "srt", "vtt", "md", "json", "tsv")
    write(found, tmp_path, "talk", TranscribeOptions(formats=formats, speakers=["Anna", "Ben"]))
    text = {form: (tmp_path / f"talk.{form}").read_text() for form in formats}
    assert text["txt"] == "[Anna] How are you\n[Ben] fine thanks\n"
    assert text["md"] == "**0:00** [Anna] How are you\n\n**0:01** [Ben] fine thanks\n"
    assert "[Anna] How are you\n" in text["srt"] and "[Ben] fine thanks\n" in text["srt"]
    assert "<v Anna>How are you\n" in text["vtt"] and "<v Ben>fine thanks\n" in text["vtt"]
    assert '"speaker": "Ben"' in text["json"] and "[Ben] fine thanks" in text["tsv"]
    assert found.facts()["speakers"] == ["Anna", "Ben"]


def test_channels_have_the_names_that_the_options_give():
    channels = [Transcript(segments=(a_segment(text, at),), language="en", seconds=9.0) for at, text in enumerate("ab")]
    assert [one.speaker for one in merge(channels, ["Anna", "Ben"]).segments] == ["Anna", "Ben"]
    assert [one.speaker for one in merge(channels).segments] == [None, None]


def test_language_tag_that_is_not_english_counts_for_all_tracks():
    """An English-only model cannot transcribe that track."""
    segments = (a_segment("yes"),)
    tracks = [Transcript(segments=segments, language="en", seconds=1.0, track_language=tag) for tag in ("en", "de")]
    assert merge(tracks).track_language == "de" and merge(tracks[:1]).track_language == "en"


def test_missing_and_similar_speakers_are_reported():
    found = Transcript(segments=(a_segment("Yes"),), language="en", seconds=9.0, speakers=("Speaker 1",))
    assert "only 1 of 3 speakers" in " ".join(review.reasons(found, TranscribeOptions(speakers=3)))
    alike = Transcript(segments=(a_segment("Yes"),), language="en", seconds=9.0, alike=(("Anna", "Ben"),))
    assert "Anna and Ben sound alike" in " ".join(review.reasons(alike, TranscribeOptions(speakers="auto")))


@pytest.mark.parametrize(
    ("given", "count", "names"),
    [
        ("auto", (1, None), ()),
        (3, (3, 3), ()),
        ({"min": 2, "max": 4}, (2, 4), ()),
        (["Anna", "Ben"], (2, 2), ("Anna", "Ben")),
        ("Anna, Ben", (2, 2), ("Anna", "Ben")),
    ],
)
def test_speakers_are_a_number_a_range_or_names(given, count, names):
    options = TranscribeOptions(speakers=given)
    assert (options.speaker_count, options.speaker_names, options.finds_speakers) == (count, names, True)
    assert TranscribeOptions.model_validate_json(options.model_dump_json()) == options


@pytest.mark.parametrize(
    "wrong",
    [
        {"speakers": 0},
        {"speakers": []},
        {"speakers": {"min": 3, "max": 2}},
        {"speakers": {"about": 2}},
        {"speakers": ["<b>"]},
        {"speakers": "auto", "channel": "each"},
        {"speakers": "auto", "vad": False},
    ],
)
def test_impossible_speakers_are_refused(wrong):
    with pytest.raises(ValueError, match="speakers"):
        TranscribeOptions(**wrong)


# ---------------------------------------------------------------------------------------------- error rate


def test_error_rate_counts_missed_invented_and_confused_speech():
    truth = (a_turn(0, 10, 1), a_turn(10, 20, 2))
    assert error_rate(truth, (a_turn(0, 10, 2), a_turn(10, 20, 1)), 0.0) == 0.0  # names do not matter
    assert error_rate(truth, (a_turn(0, 10, 1),), 0.0) == 0.5
    assert error_rate(truth, (a_turn(0, 20, 1),), 0.0) == 0.5
    assert error_rate(truth, (a_turn(0, 10, 1), a_turn(10, 30, 2)), 0.0) == 0.5
    assert error_rate(truth, (a_turn(0, 10.2, 1), a_turn(10.2, 20, 2)), 0.25) == 0.0


# ---------------------------------------------------------------------------------------------- real voices


def test_tone_is_in_the_band_of_its_frequency():
    """On Slaney's scale 440 Hz is 6.6 mel, and band 5 of 40 up to 8 kHz (45.2 mel) has its middle at 6.6."""
    tone = np.sin(2 * np.pi * 440 * np.arange(25_600) / 16_000).astype(np.float32)
    mels = mel_spectrogram(tone)
    assert mels.shape == (160, 40)
    assert int(mels[80].argmax()) == 5 and float(mels[80].sum()) > 100 * float(mels[80, 20:].sum())


@pytest.fixture(scope="module")
def encoder(models) -> VoiceEncoder:
    return VoiceEncoder(weights.load(models, Progress(lambda message: None)))


def test_real_voices_are_distinguished(encoder):
    first, second = read_sound("jfk.flac"), read_sound("LJ001-0001.wav")
    talk = np.concatenate([first, second, first[: 16_000 * 5]])
    talk = Conversation(
        samples=talk, turns=(a_turn(0, 11, 1), a_turn(11, 20.66, 2), a_turn(20.66, len(talk) / 16_000, 1))
    )
    voices = encoder.voices(talk.samples, vad.Detector().spans(talk.samples), 0.0)
    assert error_rate(talk.turns, diarize(voices, Count()).turns) < 0.15


@pytest.mark.parametrize("given", ["auto", ["Kennedy", "Reader"]])
def test_transcript_names_the_speakers(transcribe, tmp_path, encoder, given):
    pause = np.zeros(8000, np.float32)
    talk = write_wav(tmp_path / "talk.wav", np.concatenate([read_sound("jfk.flac"), pause, read_sound(BLOCK)]))
    found = transcribe(talk, speakers=given, formats="txt, json")
    first, second = ("Speaker 1", "Speaker 2") if given == "auto" else given
    of = {
        name: " ".join(s["text"] for s in found.json()["segments"] if s["speaker"] == name) for name in (first, second)
    }
    assert words(of[first]) == words(KENNEDY) and words(of[second]) == words(SPOKEN[BLOCK])
    assert found.text.startswith(f"[{first}] And so") and f"\n[{second}] " in found.text
