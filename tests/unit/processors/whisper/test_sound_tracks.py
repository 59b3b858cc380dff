"""The choice of a film's sound track, by flags, languages and titles."""

import pytest
from av.stream import Disposition

from processors.contract import BadInput
from processors.whisper import TranscribeOptions
from processors.whisper.audio import reader, tracks
from tests.unit.processors.whisper.recordings import tone, write_film

DEFAULT, COMMENT, NONE = Disposition.default.value, Disposition.comment.value, 0
FORCED = Disposition.forced.value
BLIND = Disposition.visual_impaired.value
SILENT = [(0.0, tone(0.3))]


@pytest.mark.parametrize(
    ("flags", "tags", "language", "expected"),
    [
        ([COMMENT, DEFAULT], [{}, {}], None, 2),
        ([NONE, DEFAULT, NONE], [{}, {}, {}], None, 2),
        ([NONE, NONE], [{}, {}], None, 1),
        ([DEFAULT, DEFAULT], [{"title": "Director's Commentary"}, {"title": "Stereo"}], None, 2),
        ([DEFAULT | BLIND, NONE], [{}, {}], None, 2),
        ([DEFAULT, NONE], [{"language": "ger", "title": "Audiodeskription"}, {"language": "ger"}], None, 2),
        ([DEFAULT, NONE], [{"language": "eng"}, {"language": "fre"}], "fr", 2),
        ([DEFAULT, NONE], [{"language": "eng"}, {"language": "fre"}], "de", 1),
        ([DEFAULT, NONE], [{"language": "eng"}, {"language": "fre", "title": "Commentaire"}], "fr", 1),
    ],
)
def test_default_is_the_track_that_players_choose_but_no_commentary(tmp_path, flags, tags, language, expected):
    path = write_film(tmp_path / "film.mkv", *[SILENT] * len(flags), flags=flags, tags=tags)
    with reader.open_track(path, language=language) as track:
        assert (track.number, track.tracks) == (expected, len(flags))


@pytest.mark.parametrize(("wanted", "expected"), [("eng", 1), ("de", 3), ("ger", 3), ("deu", 3), ("German", 3), (2, 2)])
def test_track_may_be_named_by_language_or_number(tmp_path, wanted, expected):
    tags = [{"language": "eng"}, {"language": "ger", "title": "Kommentar"}, {"language": "ger"}]
    path = write_film(tmp_path / "film.mkv", SILENT, SILENT, SILENT, tags=tags)
    track = TranscribeOptions(track=wanted).track
    with reader.open_track(path, track) as opened:
        assert opened.number == expected


def test_missing_language_is_refused_with_those_there_are(tmp_path):
    path = write_film(tmp_path / "film.mkv", SILENT, SILENT, tags=[{"language": "eng"}, {"language": "ger"}])
    for track, message in (("fra", r'is in "fra" \(there are: eng, ger\): correct'), (3, "no sound track 3, only 2")):
        with pytest.raises(BadInput, match=message), reader.open_track(path, track):
            pass


@pytest.mark.parametrize("tag", ["eng", "en", "en-US", "English"])
def test_languages_of_files_are_those_of_whisper(tag):
    assert tracks.language_code(tag) == "en"


@pytest.mark.parametrize("wrong", [0, -1, "", "first track"])
def test_impossible_tracks_are_refused(wrong):
    with pytest.raises(ValueError, match="track"):
        TranscribeOptions(track=wrong)


def test_all_tracks_and_each_channel_exclude_each_other():
    with pytest.raises(ValueError, match="exclude each other"):
        TranscribeOptions(track="all", channel="each")
