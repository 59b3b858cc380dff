"""Measure the cost of speech: CPU seconds per second of audio, peak memory and word error rate, on one thread.

`python -m benchmarks.speech --audio FOLDER --write` writes benchmarks/SPEECH.md. FOLDER contains audio files and a
manifest.tsv with the columns file, reference and lang; files of at least five minutes are "long", the others are
"clips". benchmarks/sound is such a folder, in Japanese. Each engine and mode (`way`) runs in a process of its own, all
of them in turn, several times; the table has the medians. Models that stay loaded transcribe one clip first to warm up.
If faster-whisper is installed and MODELS/faster/MODEL contains its weights, the benchmark measures it, too.
"""

import argparse
import csv
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.place import Home

if TYPE_CHECKING:
    from processors.contract import Work
    from processors.whisper import TranscribeOptions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "SPEECH.md"
WARM_UP = ROOT / "tests" / "data" / "audio" / "jfk.flac"
LONG_SECONDS = 300.0
WAYS = (
    "command",
    "openai-greedy",
    "openai-beam5",
    "exact-greedy",
    "exact-beam5",
    "fast-greedy",
    "fast-beam5",
    "fast-greedy-int8",
    "fast-beam5-int8",
    "daemon-exact-greedy",
    "daemon-fast-greedy",
)
UNSPACED = ("zh", "ja", "th", "lo", "my")  # as in the paper on Whisper, arXiv:2212.04356, appendix C
ALONE = ("command", "daemon")  # start a process for each file, or for all files: the time includes its start
PEERS = ("faster-int8-greedy", "faster-int8-beam5", "faster-float32-greedy", "faster-int8-batched")
Heard = dict[str, str]  # text by file


def main() -> None:
    arguments = _arguments()
    if arguments.way:
        print(json.dumps(_measure(arguments)))
        return
    tables = [
        "# Cost of speech",
        f"`python -m benchmarks.speech`: {arguments.model}, one thread of the CPU, medians of {arguments.rounds}. "
        "Errors are wrong words per 100, after whisper's normalizer for both texts. Peak memory is that of the entire "
        "process.",
    ]
    if arguments.append:
        before = RESULTS.read_text(encoding="utf-8").rstrip() if RESULTS.exists() else ""
        tables = [before or tables[0]]
    for length in arguments.lengths:
        runs: dict[str, list[dict]] = {way: [] for way in _ways(length, arguments)}
        for _ in range(arguments.rounds):
            for way in runs:
                told = _run_alone(way, length, arguments)
                runs[way].append(told)
                print(
                    f"{way}: {told['cpu_seconds']:.1f} s, {told['peak_mb']:.0f} MB, {told['errors']:.2f}%", flush=True
                )
        title = f"## {arguments.append or length.capitalize()}"
        tables += [title, f"{arguments.model}. {_table(runs)}", _by_file(runs)]
        if arguments.write:
            RESULTS.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    print("\n\n".join(tables[-3:]))


def _ways(length: str, arguments: argparse.Namespace) -> list[str]:
    """The requested engines that are installed; no command for a long file, where its start does not matter."""
    ways = arguments.ways or [*WAYS, *(PEERS if importlib.util.find_spec("faster_whisper") else ())]
    ways = [way for way in ways if length == "clips" or way != "command"]
    return [way for way in ways if not way.startswith("faster") or _faster_weights(arguments).is_dir()]


def _faster_weights(arguments: argparse.Namespace) -> Path:
    return arguments.models / "faster" / arguments.model


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=ROOT / "state" / "models")
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--lengths", nargs="*", choices=("clips", "long"), default=["clips", "long"])
    parser.add_argument("--languages", nargs="*", default=["en"])
    parser.add_argument("--ways", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/SPEECH.md")
    parser.add_argument("--append", metavar="TITLE", help="with --write: append a section with this title")
    parser.add_argument("--way", help=argparse.SUPPRESS)  # in a child: measure this one
    return parser.parse_args()


def _run_alone(way: str, length: str, arguments: argparse.Namespace) -> dict:
    given = ["--audio", arguments.audio, "--models", arguments.models, "--model", arguments.model]
    given += ["--lengths", length, "--languages", *arguments.languages, "--way", way]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speech", *map(str, given)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(arguments: argparse.Namespace) -> dict:
    rows = _rows(arguments)
    files = [arguments.audio / row["file"] for row in rows]
    language = rows[0]["lang"] if len({row["lang"] for row in rows}) == 1 else None
    hear = _way(arguments, language)
    if not arguments.way.startswith(ALONE):
        hear([WARM_UP])  # one-time initialization does not count toward a file
    start = _cpu_seconds()
    heard = hear(files)
    used = _cpu_seconds() - start
    whose = resource.RUSAGE_CHILDREN if arguments.way.startswith(ALONE) else resource.RUSAGE_SELF
    by_file = {row["file"]: _errors(row, heard[str(arguments.audio / row["file"])]) for row in rows}
    wrong, words = map(sum, zip(*by_file.values(), strict=True))
    return {
        "cpu_seconds": used,
        "sound_seconds": sum(float(row["seconds"]) for row in rows),
        "peak_mb": resource.getrusage(whose).ru_maxrss / 1024,
        "errors": 100 * wrong / words,
        "by_file": {name: round(100 * wrong / words, 1) for name, (wrong, words) in by_file.items()},
    }


def _rows(arguments: argparse.Namespace) -> list[dict]:
    is_long = arguments.lengths == ["long"]
    rows = read_rows(arguments.audio, arguments.languages)
    return [row for row in rows if (float(row["seconds"]) >= LONG_SECONDS) == is_long]


def read_rows(audio: Path, languages: Sequence[str]) -> list[dict]:
    """The recordings in these languages whose text is known."""
    with (audio / "manifest.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row for row in rows if row["lang"] in languages and row["reference"].strip()]


def _errors(row: dict, text: str) -> tuple[int, int]:
    """Wrong words and all words, after whisper's normalizer; characters in languages without spaces between words."""
    import jiwer
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    is_spaced = row["lang"] not in UNSPACED
    normal = EnglishTextNormalizer() if row["lang"] == "en" else BasicTextNormalizer(split_letters=not is_spaced)
    said = normal(row["reference"])
    found = jiwer.process_words(said, normal(text))
    return found.substitutions + found.insertions + found.deletions, len(said.split())


# ---------------------------------------------------------------------------------------------- the ways


def _way(arguments: argparse.Namespace, language: str | None) -> Callable[[list[Path]], Heard]:
    """A function that transcribes with a loaded model."""
    engine, _, search = arguments.way.partition("-")
    beam = 5 if search.startswith("beam5") else None
    match engine:
        case "command":
            return lambda files: _by_command(files, arguments, language)
        case "openai":
            return _openai(arguments, beam, language)
        case "exact" | "fast":
            dtype = next((name for name in ("bfloat16", "int8") if arguments.way.endswith(name)), "auto")
            return transcriber(arguments.models, arguments.model, engine, beam, language, dtype)
        case "daemon":
            return lambda files: _by_daemon(files, arguments, search.partition("-")[0], language)
    return _faster(arguments, search, language)


def _openai(arguments: argparse.Namespace, beam: int | None, language: str | None) -> Callable[[list[Path]], Heard]:
    import whisper

    model = whisper.load_model(str(arguments.models / "whisper" / f"{arguments.model}.pt"), device="cpu")
    return lambda files: {
        str(path): model.transcribe(sound_of(path), fp16=False, language=language, beam_size=beam)["text"]
        for path in files
    }


def transcriber(
    models: Path, model: str, how: str, beam: int | None = None, language: str | None = "en", dtype: str = "auto"
) -> Callable[[list[Path]], Heard]:
    """A function that transcribes files with inboxd's engine, loaded here; as many at once as a worker does."""
    from processors.contract import Finished, Progress
    from processors.whisper import TranscribeOptions, Whisper, WhisperOptions

    processor, silent = Whisper(), Progress(lambda told: None)
    settings = WhisperOptions(model=model, device="cpu", threads=1, dtype=dtype)
    processor.load(settings, models, silent)
    options = TranscribeOptions(way=how, beam_size=beam, best_of=None, language=language, formats=("txt",))

    def hear(files: list[Path]) -> Heard:
        heard = {}
        for start in range(0, len(files), settings.max_batch):
            with tempfile.TemporaryDirectory() as folder:
                works = []
                for number, path in enumerate(files[start : start + settings.max_batch]):
                    outputs = Path(folder) / str(number)
                    outputs.mkdir()
                    works.append(work_on(path, outputs, options))
                for work, outcome in processor.process(works, silent):
                    assert isinstance(outcome, Finished), outcome
                    heard[str(work.source)] = (work.outputs / "t.txt").read_text(encoding="utf-8")
        return heard

    return hear


def work_on(source: Path, outputs: Path, options: "TranscribeOptions") -> "Work":
    """The work for one file; its text is written to outputs/t.txt."""
    from processors.contract import Kind, Work

    return Work(
        job=outputs.name,
        attempt=1,
        source=source,
        outputs=outputs,
        stem="t",
        kind=Kind.AUDIO,
        media_type="audio/any",
        recipe="transcribe",
        options=options,
    )


def _faster(arguments: argparse.Namespace, search: str, language: str | None) -> Callable[[list[Path]], Heard]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    kind, _, how_to_search = search.partition("-")
    weights = str(_faster_weights(arguments))
    model: Any = WhisperModel(weights, device="cpu", compute_type=kind, cpu_threads=1)
    how: dict[str, Any] = {"language": language, "beam_size": 5 if how_to_search == "beam5" else 1}
    if how_to_search == "batched":
        model, how = BatchedInferencePipeline(model), {**how, "batch_size": 8}
    return lambda files: {
        str(path): "".join(segment.text for segment in model.transcribe(str(path), **how)[0]) for path in files
    }


def _by_command(files: list[Path], arguments: argparse.Namespace, language: str | None) -> Heard:
    """`whisper` file by file, greedy; without FFmpeg's program, PyAV decodes the audio."""
    model, heard = arguments.models / "whisper" / f"{arguments.model}.pt", {}
    code = "import sys, benchmarks.speech as own, whisper.audio as audio; from pathlib import Path;"
    code += "audio.load_audio = lambda path, *_: own.sound_of(Path(path));"
    code += "import whisper.transcribe; sys.modules['whisper.transcribe'].cli()"
    for path in files:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", code, path, "--model", model, "--device", "cpu", "--fp16", "False"]
            command += ["--beam_size", "None", "--best_of", "None", "--threads", "1", "--output_dir", folder]
            command += ["--output_format", "txt", *(["--language", language] if language else [])]
            subprocess.run([*map(str, command)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            heard[str(path)] = next(Path(folder).glob("*.txt")).read_text(encoding="utf-8")
    return heard


def _by_daemon(files: list[Path], arguments: argparse.Namespace, how: str, language: str | None) -> Heard:
    """From the drop to the result, greedy; includes the start of the daemon and its worker."""
    recipe = {"way": how, "beam_size": 1, "best_of": 1, "formats": ["txt"]}
    recipe |= {"language": language} if language else {}
    config = (
        f'[paths]\nmodels = "{arguments.models.resolve()}"\n[inbox]\nsettle_seconds = 0.1\naudio = "measured"\n'
        f'[processors.whisper]\nmodel = "{arguments.model}"\ndevice = "cpu"\nthreads = 1\n'
        '[recipes.measured]\nprocessor = "whisper"\n'
    )
    with Home(config + "".join(f"{name} = {json.dumps(value)}\n" for name, value in recipe.items())) as home:
        for path in files:
            shutil.copy(path, home / "inbox")
        command = [sys.executable, "-m", "daemon.cli", "run", "--drain", "--config", str(home / "config.toml")]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        texts = {path.stem: path.read_text(encoding="utf-8") for path in (home / "outbox").rglob("*.txt")}
    return {str(path): texts[path.stem] for path in files}


def sound_of(path: Path):
    """Float32, mono, 16 kHz."""
    import numpy as np

    from processors.whisper.audio import reader

    with reader.open_track(path) as track:
        return np.concatenate([block.samples for block in track.blocks()])


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _table(runs: dict[str, list[dict]]) -> str:
    median = {
        way: {name: statistics.median(run[name] for run in told) for name in ("cpu_seconds", "peak_mb", "errors")}
        for way, told in runs.items()
    }
    sound = next(iter(runs.values()))[0]["sound_seconds"]
    limits = [way for way in ("command", "openai-greedy", "openai-beam5") if way in runs]
    lines = [
        f"{sound:.0f} s of audio. Columns with ×: the speed relative to that engine.",
        "",
        f"| engine and mode | CPU s | audio s per CPU s | {''.join(f'× {way} | ' for way in limits)}"
        "errors | peak memory |",
        "| --- " * (5 + len(limits)) + "|",
    ]
    for way, told in median.items():
        cpu = told["cpu_seconds"]
        ratios = "".join(f"{median[limit]['cpu_seconds'] / cpu:.2f} | " for limit in limits)
        lines.append(
            f"| {way} | {cpu:.1f} | {sound / cpu:.1f} | {ratios}{told['errors']:.2f} | {told['peak_mb']:.0f} MB |"
        )
    return "\n".join(lines)


def _by_file(runs: dict[str, list[dict]]) -> str:
    files = next(iter(runs.values()))[0]["by_file"]
    lines = ["Errors by file:", "", f"| engine and mode | {' | '.join(files)} |", "| --- " * (1 + len(files)) + "|"]
    for way, told in runs.items():
        lines.append(f"| {way} | {' | '.join(str(told[0]['by_file'][name]) for name in files)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
