"""What `sniff` returns for real files, made by the libraries that read them, and for files that only imitate them."""

import io
import os
import random
import wave
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pypdfium2
import pytest
from PIL import Image

from daemon.intake.filetype import PROBE_BYTES, Content, sniff
from processors.contract import Kind

NOTHING = Content(kind=None, media_type="application/octet-stream")
TEXT = Content(kind=Kind.TEXT, media_type="text/plain")


def detect(folder: Path, content: bytes, name: str = "drop") -> Content:
    path = folder / name
    path.write_bytes(content)
    return sniff(path)


def picture() -> Image.Image:
    return Image.radial_gradient("L").resize((64, 48)).convert("RGB")


@pytest.mark.parametrize(
    ("form", "media_type", "options"),
    [
        ("JPEG", "image/jpeg", {}),
        ("PNG", "image/png", {}),
        ("WEBP", "image/webp", {}),
        ("GIF", "image/gif", {}),
        ("BMP", "image/bmp", {}),
        ("TIFF", "image/tiff", {}),
        ("TIFF", "image/tiff", {"big_tiff": True}),
        ("JPEG2000", "image/jp2", {}),
        ("JPEG2000", "image/jp2", {"no_jp2": True}),
        ("AVIF", "image/avif", {}),
        ("HEIF", "image/heic", {}),
        ("PDF", "application/pdf", {}),
    ],
)
def test_picture_is_recognized_without_its_name(tmp_path, form, media_type, options):
    pillow_heif.register_heif_opener()
    stream = io.BytesIO()
    picture().save(stream, form, **options)
    assert detect(tmp_path, stream.getvalue()) == Content(kind=Kind.IMAGE, media_type=media_type)


def test_big_endian_tiff_is_an_image(tmp_path):
    assert detect(tmp_path, b"MM\0*\0\0\0\x08").media_type == "image/tiff"


def sound_file(form: str, codec: str, rate_hz: int, *, layout: str = "mono", options: dict | None = None) -> bytes:
    """One second of a 440 Hz tone, as FFmpeg writes it."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=form, options=options or {}) as container:
        track = container.add_stream(codec, rate=rate_hz, layout=layout)
        encoder = track.codec_context
        encoder.bit_rate = 64000
        tone = (np.sin(np.arange(rate_hz) * 440 * 2 * np.pi / rate_hz) * 9000).astype(np.int16)
        resampler = av.AudioResampler(format=encoder.format, layout=layout, rate=rate_hz)
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            part.pts = None
            fifo.write(part)
        encoder.open()
        while part := fifo.read(
            encoder.frame_size or 1024, partial=not encoder.frame_size or encoder.frame_size > rate_hz
        ):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "codec", "rate_hz", "media_type"),
    [
        ("wav", "pcm_s16le", 16000, "audio/wav"),
        ("w64", "pcm_s16le", 16000, "audio/x-w64"),
        ("mp3", "mp3", 44100, "audio/mpeg"),
        ("mp3", "mp3", 16000, "audio/mpeg"),
        ("mp2", "mp2", 48000, "audio/mpeg"),
        ("adts", "aac", 44100, "audio/aac"),
        ("flac", "flac", 16000, "audio/flac"),
        ("ogg", "libopus", 48000, "audio/ogg"),
        ("ipod", "aac", 44100, "audio/mp4"),
        ("mp4", "aac", 44100, "video/mp4"),
        ("mov", "aac", 44100, "video/quicktime"),
        ("3gp", "aac", 44100, "video/3gpp"),
        ("webm", "libopus", 48000, "audio/webm"),
        ("matroska", "aac", 44100, "audio/x-matroska"),
        ("aiff", "pcm_s16be", 16000, "audio/aiff"),
        ("caf", "pcm_s16be", 16000, "audio/x-caf"),
        ("asf", "wmav2", 44100, "audio/x-ms-wma"),
        ("avi", "pcm_s16le", 16000, "video/x-msvideo"),
        ("au", "pcm_s16be", 16000, "audio/basic"),
        ("flv", "mp3", 44100, "video/x-flv"),
        ("wv", "wavpack", 44100, "audio/x-wavpack"),
        ("mpegts", "aac", 44100, "video/mp2t"),
        ("vob", "mp2", 44100, "video/mpeg"),
        ("tta", "tta", 44100, "audio/x-tta"),
        ("voc", "pcm_u8", 16000, "audio/x-voc"),
        ("rm", "ac3", 44100, "video/x-realmedia"),
        ("nut", "pcm_s16le", 16000, "video/x-nut"),
        ("sox", "pcm_s32le", 16000, "audio/x-sox"),
        ("wtv", "mp2", 48000, "video/x-wtv"),
        ("ac3", "ac3", 48000, "audio/ac3"),
        ("ac3", "ac3", 44100, "audio/ac3"),
        ("ac3", "ac3", 32000, "audio/ac3"),
        ("eac3", "eac3", 48000, "audio/eac3"),
    ],
)
def test_sound_is_recognized_without_its_name(tmp_path, form, codec, rate_hz, media_type):
    assert detect(tmp_path, sound_file(form, codec, rate_hz)) == Content(kind=Kind.AUDIO, media_type=media_type)


def test_mp3_without_a_tag_is_audio(tmp_path):
    content = sound_file("mp3", "mp3", 44100, options={"id3v2_version": "0", "write_xing": "0"})
    assert content[0] == 0xFF
    assert detect(tmp_path, content).media_type == "audio/mpeg"


def test_every_mpeg_frame_length_agrees_with_ffmpeg(tmp_path):
    for rate_hz in (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000):
        content = sound_file("mp3", "mp3", rate_hz, options={"id3v2_version": "0", "write_xing": "0"})
        with av.open(io.BytesIO(content)) as container:
            frame_bytes = next(container.demux()).size
        assert detect(tmp_path, content[:frame_bytes]).media_type == "audio/mpeg", rate_hz
        assert detect(tmp_path, content[: frame_bytes - 1]) == NOTHING, rate_hz


def test_aac_and_flac_behind_an_id3_tag_are_recognized(tmp_path):
    tag = b"ID3\x04\0\0" + bytes([0, 0, 1, 16]) + bytes(144)
    assert detect(tmp_path, tag + sound_file("adts", "aac", 44100)).media_type == "audio/aac"
    assert detect(tmp_path, tag + sound_file("flac", "flac", 16000)).media_type == "audio/flac"


def test_wav_beyond_four_gigabytes_is_audio(tmp_path):
    content = sound_file("wav", "pcm_s16le", 16000, options={"rf64": "always"})
    assert content[:4] == b"RF64"
    assert detect(tmp_path, content).media_type == "audio/wav"


@pytest.mark.parametrize(
    "header",
    [
        *(
            b"#!AMR\n",
            b"#!AMR-WB\n",
            b"#!iLBC30\n",
            b"MAC \x96\x0f",
            b"MPCK",
            b"MP+\x07",
            b"tBaK",
            b"ajkg\x02",
            b"qoaf",
        ),
        *(b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\x1f\xff\xe8\x00", b"\xff\x1f\x00\xe8", b"DTSHDHDR"),
        *(
            b"\x02dss",
            b"\x03dss",
            b"DSD \x1c",
            b"FRM8\0\0\0\0\0\0\0\0DSD ",
            b"FORM\0\0\0\x088SVX",
            b"ea3\x03",
            b".ra\xfd",
        ),
        *(b"NIST_1A\n   1024\n", b"RIFF\0\0\0\0QLCM", b"RIFF\0\0\0\0XWMA", b"RIFF\0\0\0\0AMV "),
        *(b"\x06\x0e+4\x02\x05\x01\x01\r\x01\x02\x01\x01\x02", b"\0\0\0\0\x01\xbc", b"DHAV"),
    ],
)
def test_format_that_ffmpeg_only_reads_is_recognized_by_its_signature(tmp_path, header):
    assert detect(tmp_path, header + bytes(64)).kind is Kind.AUDIO


@pytest.mark.parametrize(("form", "codec", "name"), [("g722", "g722", "call.g722"), ("sbc", "sbc", "call.sbc")])
def test_sound_without_a_signature_is_recognized_by_its_name_and_read(tmp_path, form, codec, name):
    from processors.whisper.audio import reader

    rate_hz = 16000
    assert detect(tmp_path, sound_file(form, codec, rate_hz), name).kind is Kind.AUDIO
    with reader.open_track(tmp_path / name) as track:
        assert sum(map(len, track.blocks())) / reader.SAMPLE_RATE_HZ == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("form", "codec", "media_type"),
    [("webm", "libvpx", "video/webm"), ("asf", "wmv2", "video/x-ms-wmv"), ("mpeg", "mpeg1video", "video/mpeg")],
)
def test_moving_pictures_are_video(tmp_path, form, codec, media_type):
    stream = io.BytesIO()
    with av.open(stream, "w", format=form) as container:
        track = container.add_stream(codec, rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(track.encode(av.VideoFrame.from_image(picture())))
        container.mux(track.encode(None))
    assert detect(tmp_path, stream.getvalue()) == Content(kind=Kind.AUDIO, media_type=media_type)


def test_quicktime_without_a_brand_is_video(tmp_path):
    assert detect(tmp_path, (16).to_bytes(4, "big") + b"wide" + bytes(100)).media_type == "video/quicktime"
    assert detect(tmp_path, b"Get moov! " * 20) == TEXT


def test_pdf_header_may_come_late(tmp_path):
    document = pypdfium2.PdfDocument.new()
    document.new_page(100, 100)
    stream = io.BytesIO()
    document.save(stream)
    for before in (b"", b"\xef\xbb\xbf\r\n", b"\x1b%-12345X@PJL SET DUPLEX=ON\r\n", os.urandom(1000)):
        assert detect(tmp_path, before + stream.getvalue()).media_type == "application/pdf", before
    assert detect(tmp_path, bytes(1024) + stream.getvalue()) == NOTHING


def test_pdf_behind_lines_of_text_is_a_pdf(tmp_path):
    document = b"%PDF-1.1\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    assert detect(tmp_path, b"Some junk before the header\n" + document).media_type == "application/pdf"


def test_pdf_header_may_lack_the_point_of_its_version(tmp_path):
    assert detect(tmp_path, b"%PDF-14\n%\xe2\xe3\xcf\xd3\n1 0 obj\n").media_type == "application/pdf"


def test_text_that_speaks_of_pdf_is_text(tmp_path):
    assert detect(tmp_path, b"A PDF begins with %PDF-1.7 and ends with %%EOF.\n") == TEXT


@pytest.mark.parametrize(
    "content",
    [
        b"plain\ttext\r\n\f",
        "Zażółć gęślą jaźń 😀\n".encode(),
        "\ufeffwith a mark\n".encode(),
        "sixteen bits\n".encode("utf-16"),
        b"\xfe\xff" + "sixteen bits 😀\n".encode("utf-16-be"),
        b"BM is not always a bitmap, nor II a TIFF",
        b"ID3 tags stand before the sound",
        b"OggSpeex",
        b"MAC addresses, TTA1 and DSD are no sound",
        b"TTA1, MPCK",
        b".RMF is RealMedia",
        b"fLaC begins a FLAC file, wvpk a WavPack file",
        b"wvpk begins a WavPack file",
        b"GIF89a begins a GIF",
        b"NIST_1A\n   1024\nsample_rate -i 16000\nend_head\n",
        b"Creative Voice File, 1989",
        b"FRM8 and FORM are forms",
        b"G" * 1000,  # 0x47, the mark of a transport stream
    ],
)
def test_text_is_text(tmp_path, content):
    assert detect(tmp_path, content) == TEXT


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_text_may_be_cut_at_the_end_of_the_probe(tmp_path, character):
    width = len(character.encode())
    for offset in range(width):
        content = b"a" * (PROBE_BYTES - offset) + character.encode() + b"\n"
        assert detect(tmp_path, content) == TEXT, offset
    for encoding in ("utf-16-le", "utf-16-be"):
        content = ("\ufeff" + "a" * (PROBE_BYTES // 2 - 2) + character * 3).encode(encoding)
        assert detect(tmp_path, content) == TEXT, encoding


def test_text_cut_in_a_character_at_its_end_is_not_text(tmp_path):
    assert detect(tmp_path, "é".encode()[:1]) == NOTHING
    assert detect(tmp_path, "text é".encode()[:-1]) == NOTHING


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\x1b", b"\x7f", b"\xff", b"\xc0\x80"])
def test_control_and_invalid_bytes_are_no_text(tmp_path, byte):
    assert detect(tmp_path, b"text " + byte + b" text") == NOTHING


def test_content_is_believed_before_the_name(tmp_path):
    assert detect(tmp_path, b"only text\n", "photo.jpg") == TEXT
    stream = io.BytesIO()
    picture().save(stream, "PNG")
    assert detect(tmp_path, stream.getvalue(), "song.mp3").media_type == "image/png"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("random.wav", Kind.AUDIO),
        ("RANDOM.MP4", Kind.AUDIO),
        ("random.jpeg", Kind.IMAGE),
        ("random.pdf", Kind.IMAGE),
        ("random.txt", None),
        ("random", None),
    ],
)
def test_undecided_content_has_the_type_of_its_name(tmp_path, name, kind):
    assert detect(tmp_path, bytes([0x80]) + random.Random(1).randbytes(5000), name).kind is kind


def test_random_bytes_are_nothing(tmp_path):
    numbers = random.Random(2)
    found = [detect(tmp_path, numbers.randbytes(2000)).kind for _ in range(500)]
    assert found == [None] * 500


def test_empty_file_is_called_empty_whatever_its_name(tmp_path):
    assert detect(tmp_path, b"", "empty.jpg") == Content(kind=None, media_type="application/x-empty")


def test_one_byte_of_anything_is_survived(tmp_path):
    for byte in range(256):
        detect(tmp_path, bytes([byte]))
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(100))
    for length in range(len(stream.getvalue())):
        detect(tmp_path, stream.getvalue()[:length])


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "real").write_text("text")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "fifo")  # must not wait for a writer
    for name in ("link", "fifo", ".", "missing"):
        with pytest.raises(OSError):
            sniff(tmp_path / name)
    assert sniff(tmp_path / "real") == TEXT


def test_names_need_not_be_utf8(tmp_path):
    assert detect(tmp_path, b"\x80\x81\x82", os.fsdecode(b"caf\xe9.mp3")).kind is Kind.AUDIO


def test_no_more_than_the_probe_is_read(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"a" * PROBE_BYTES + bytes(100_000))
    descriptors = len(os.listdir("/proc/self/fd"))
    before = read_bytes()
    assert sniff(path) == TEXT
    assert read_bytes() - before <= PROBE_BYTES + 4096  # the counters' own file
    assert len(os.listdir("/proc/self/fd")) == descriptors


def read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])
