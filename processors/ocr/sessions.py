"""RapidOCR with onnxruntime sessions of its models, whose threads sleep while they wait for work."""

import os
from pathlib import Path

from omegaconf import flag_override
from onnxruntime import InferenceSession, SessionOptions
from rapidocr import RapidOCR

_PARAMETERS = {
    "Global.log_level": "error",
    "Global.text_score": 0.0,  # rapidocr silently drops text with a lower score
    "Global.use_cls": False,  # of single lines; the engine rotates pages
    "Det.max_candidates": 20_000,  # rapidocr silently drops all further boxes; a dense table has some thousands
    "Det.limit_side_len": 32,  # the engine chooses the scale
    "Rec.rec_batch_num": 1,  # rapidocr pads the lines of a batch to the longest: 30 % of all pixels
}


def open_rapidocr(threads: int | None, recognition: Path, detection: Path | None = None) -> RapidOCR:
    """Return RapidOCR with these models, without downloading any. Without `detection`, call it with `use_det=False`.

    `threads`: None for OMP_NUM_THREADS, which onnxruntime itself ignores.
    """
    opened = RapidOCR(params=_PARAMETERS)
    with flag_override(opened.cfg, "allow_objects", True):
        opened.cfg.Rec.session = _open_session(recognition, threads)
        if detection:
            opened.cfg.Det.session = _open_session(detection, threads)
    return opened


def _open_session(model: Path, threads: int | None) -> InferenceSession:
    options = SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # the arena would keep as much memory as any page has needed
    options.intra_op_num_threads = _thread_count(threads)
    # Threads that wait for work in a busy loop double the CPU time of two threads: 136 instead of 66 ms for a line.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _thread_count(threads: int | None) -> int:
    """The number of threads, at most that of the cores; 0, which means all cores, if nothing limits it."""
    return min(threads or int(os.environ.get("OMP_NUM_THREADS", "0")), os.cpu_count() or 1)
