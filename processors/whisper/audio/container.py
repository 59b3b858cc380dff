"""Opens a file with FFmpeg, including files that FFmpeg alone refuses because of a flaw in their structure."""

from typing import TYPE_CHECKING, BinaryIO

import av

from processors.whisper.audio import fragments, wave_header

if TYPE_CHECKING:
    from av.container import InputContainer


def open_container(file: BinaryIO, chunk: wave_header.DataChunk | None) -> "InputContainer":
    """chunk: the data of a WAV file.

    FFmpeg gets the open file and must not open another one: a submitted playlist cannot read files of this machine.

    Raises:
        av.error.FFmpegError, ValueError, OSError: FFmpeg cannot read the file.
    """
    options = {"protocol_whitelist": "none"}
    if chunk is not None and chunk.goes_on:
        options["ignore_length"] = "1"
    if chunk is not None and chunk.padded_head:
        return _open(wave_header.WithHead(file, chunk.padded_head, chunk.start), options)
    try:
        return _open(file, options)
    except av.error.InvalidDataError:
        size = fragments.complete_bytes(file)
        if size is None:
            raise
        return _open(fragments.FirstBytes(file, size), options)


def _open(file: BinaryIO | wave_header.WithHead | fragments.FirstBytes, options: dict[str, str]) -> "InputContainer":
    return av.open(file, mode="r", metadata_errors="replace", options=options)
