"""Decoding that stays on the device says what decoding step by step says; a step tells the host nothing.

There is no GPU here: all but the recording itself is run on the CPU. The proof that a step can be recorded is that it
runs on tensors without values (torch's "meta" device), where whatever reads one back raises, and that no operator that
it calls makes a tensor of what the host has (which is seen on the CPU only).
"""

import logging
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
import whisper
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import ModelDimensions, Whisper

from processors.whisper.decoder import graphed_greedy, kernels
from processors.whisper.decoder.audio_encoder import Encoder
from processors.whisper.decoder.cuda_graphs import capture_on, eagerly, first_error
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.decoder.graphed_greedy import Shape, State, most_rows
from processors.whisper.decoder.text_decoder import Network
from processors.whisper.engines.batch_runner import BatchRunner
from processors.whisper.engines.window import Window
from tests.unit.processors.whisper.test_whisper import read_sound

pytestmark = pytest.mark.slow
NAMES = ("jfk.flac", "LJ001-0002.mp3", "LJ001-0004.flac", "LJ001-0006.ogg", "LJ001-0008.8k.wav")
POSITIONS = (None, 500, None, 250, 750)
LONG = "and it is worth mention in passing that, as an example " * 25  # longer than is told: 223 tokens
PROMPTS = (None, "And it is worth mention", None, "the", LONG)
SMALL = ModelDimensions(  # as few numbers as may be, with the words of a model of many languages
    n_mels=80, n_audio_ctx=500, n_audio_state=128, n_audio_head=2, n_audio_layer=1,
    n_vocab=51865, n_text_ctx=150, n_text_state=128, n_text_head=2, n_text_layer=2,
)  # fmt: skip


class Recorder:
    """Stands in for CUDA's graphs: runs the step for warming up, as they do, and counts what is replayed."""

    def __init__(self):
        self.replays: list[int] = []  # of each recorded step

    def __call__(self, step):
        for _ in range(3):
            step()
        number = len(self.replays)
        self.replays.append(0)

        def replay() -> None:
            self.replays[number] += 1
            step()

        return replay


class Failing:
    """A capture that runs the step, as CUDA's does, and then raises."""

    def __init__(self, error: Exception):
        self.error, self.calls = error, 0

    def __call__(self, step):
        self.calls += 1
        step()
        raise self.error


@pytest.fixture(scope="module")
def model(models):
    return whisper.load_model(str(models / "whisper" / "tiny.en.pt"), device="cpu").eval()


@pytest.fixture(scope="module")
def by_step(model):
    return BatchDecoder(model, torch.float32)


@pytest.fixture(scope="module")
def windows(by_step):
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name))) for name in NAMES]
    return by_step.encode_all(mels, POSITIONS)


@pytest.fixture(scope="module")
def wanted(by_step, windows):
    """What the windows get step by step."""
    return by_step.decode(windows, options())


def options(**choices) -> list[DecodingOptions]:
    return [DecodingOptions(fp16=False, language="en", prompt=prompt, **choices) for prompt in PROMPTS]


def stays(by_step, capture) -> BatchDecoder:
    """A decoder that stays on the device, on the same network: it need not be laid out again."""
    decoder = BatchDecoder.__new__(BatchDecoder)
    decoder._model, decoder._tasks = by_step._model, {}
    decoder.encoder, decoder.network = by_step.encoder, by_step.network
    decoder._steady = graphed_greedy.Steady(by_step.network, capture)
    return decoder


def of_chance() -> Whisper:
    """A small model that says nothing in particular, always the same."""
    torch.manual_seed(0)
    model = Whisper(SMALL).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def assert_same(found, wanted):
    assert [each.tokens for each in found] == [each.tokens for each in wanted]
    assert [each.text for each in found] == [each.text for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-3)  # see `vocabulary`
        assert one.no_speech_prob == pytest.approx(other.no_speech_prob, abs=1e-5)


# ---------------------------------------------------------------------------------------------- what is said


def test_windows_get_the_text_they_get_step_by_step(by_step, windows, wanted):
    recorder = Recorder()
    decoder = stays(by_step, recorder)
    assert "Americans" in wanted[0].text and len({len(each.tokens) for each in wanted}) > 2
    for count in (5, 2):  # with three and no spare rows, in memory that others have used
        assert_same(decoder.decode(windows[:count], options()[:count]), wanted[:count])
    assert all(recorder.replays)


def test_a_window_without_times_and_one_that_is_cut_off_end_where_they_end_step_by_step(by_step, windows):
    decoder = stays(by_step, Recorder())
    for choices in ({"sample_len": 1}, {"without_timestamps": True, "sample_len": 12}):
        wanted = by_step.decode(windows[:3], options(**choices)[:3])
        assert_same(decoder.decode(windows[:3], options(**choices)[:3]), wanted)
    assert len(wanted[0].tokens) > 11


@torch.inference_mode()
def test_text_that_does_not_end_is_cut_off_where_the_model_ends():
    model = of_chance()
    prompts = (None, None, "a", LONG, LONG)
    told = [DecodingOptions(fp16=False, language="en", prompt=each, suppress_tokens=[50257]) for each in prompts]
    windows = torch.randn(5, 500, SMALL.n_audio_state)
    wanted = BatchDecoder(model, torch.float32).decode(windows, told)
    recorder = Recorder()
    decoder = BatchDecoder(model, torch.float32, capture=recorder)
    assert_same(decoder.decode(windows, told), wanted)
    begun = len(DecodingTask(model, told[4]).initial_tokens)
    assert begun + len(wanted[4].tokens) == SMALL.n_text_ctx + 1  # the last one is not read
    assert len(wanted[0].tokens) == SMALL.n_text_ctx // 2
    # In 128 positions, in all, and in 128 again when three shorter ones are left: a spare row must not be behind them.
    assert recorder.replays == [48, 24, 8]
    decoder._steady._state.rows.position.fill_(SMALL.n_text_ctx - 1)  # as longer ones may leave them
    few = [replace(each, sample_len=2) for each in told[:3]]
    assert_same(decoder.decode(windows[:3], few), BatchDecoder(model, torch.float32).decode(windows[:3], few))


def test_numbers_that_are_none_do_not_reach_the_next_windows(by_step, windows):
    decoder = stays(by_step, eagerly)
    wanted = decoder.decode(windows[:2], options(sample_len=9)[:2])
    decoder.decode([torch.full_like(windows[0], float("nan"))] * 2, options(sample_len=9)[:2])
    assert_same(decoder.decode(windows[:2], options(sample_len=9)[:2]), wanted)


def test_all_but_greedy_decoding_is_done_step_by_step(by_step, windows):
    recorder = Recorder()
    stays(by_step, recorder).decode(windows[:1], options(beam_size=2, sample_len=3)[:1])
    stays(by_step, recorder).decode(windows[:1], options(temperature=0.5, sample_len=3)[:1])
    assert not recorder.replays


def test_neighbours_of_one_length_are_encoded_in_one_pass_where_that_is_chosen(model, windows):
    encoder = Encoder(model.encoder, torch.float32, kernels.plain, F.scaled_dot_product_attention)
    encoder.sounds_at_once = 2
    passes, encode = [], encoder.encode
    encoder.encode = lambda mels: (passes.append(len(mels)), encode(mels))[1]
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name)))[:, :500] for name in NAMES]
    found = encoder.encode_all([*mels[:3], mels[3][:, :200]])
    assert passes == [2, 1, 1] and [len(each) for each in found] == [250, 250, 250, 100]
    assert torch.allclose(found[1], encode(mels[1][None])[0], atol=1e-3)


# ---------------------------------------------------------------------------------------------- what a step does


class HostSeen(AssertionError):
    pass


class Watch(TorchDispatchMode):
    """Raises where an operator reads a value back, makes a tensor of what the host has, or has a tensor elsewhere."""

    def __init__(self, device: str):
        super().__init__()
        self.device = device

    READS = ("_local_scalar_dense", "item", "lift_fresh", "nonzero", "masked_select", "equal", "is_nonzero", "unique")

    def __torch_dispatch__(self, operator, types, arguments=(), names=None):
        name = operator.name().removeprefix("aten::").split(".")[0]
        found = operator(*arguments, **(names or {}))
        tensors = [each for each in tree_leaves((arguments, names, found)) if isinstance(each, torch.Tensor)]
        devices = {each.device.type for each in tensors}
        if name.startswith(self.READS) or devices - {self.device}:
            raise HostSeen(f"{name} on {devices}")
        return found


@cache
@torch.inference_mode()
def a_step(device: str, rows: int = 4):
    """A state, and a step of it; made once."""
    model = of_chance()
    del model.alignment_heads  # a sparse tensor: there are none without values
    model.to(device)
    task = DecodingTask(model, DecodingOptions(language="en", fp16=False))
    state = State(Network(model, torch.float32, kernels.choose(model, torch.float32)), task, rows)
    state.start(task, [4] * rows, torch.zeros(rows, SMALL.n_vocab, device=device))
    return state, state.step(Shape(rows=rows, capacity=128, positions=500, is_masked=True, is_timed=True))


@pytest.mark.parametrize("device", ["meta", "cpu"])
@torch.inference_mode()
def test_a_step_reads_nothing_back_and_takes_nothing_from_the_host(device):
    _, step = a_step(device)
    with Watch(device):
        step()
        step()


@pytest.mark.parametrize(
    "read",
    [
        lambda state: int(state.rows.position.max()),
        lambda state: bool(state.rows.ended.all()),
        lambda state: state.rows.token.tolist(),
        lambda state: state.rows.token.cpu(),
        lambda state: state.rows.token.nonzero(),
        lambda state: state.rows.token[[0, 1]],
        lambda state: state.rows.token + torch.tensor([1], device=state.rows.token.device),
        lambda state: state.rows.token.copy_(torch.zeros(4, dtype=torch.long)),
    ],
    ids=("int", "bool", "tolist", "cpu", "nonzero", "list", "from host", "copied from host"),
)
@torch.inference_mode()
def test_a_step_that_did_would_be_noticed(read):
    noticed = []
    for device in ("meta", "cpu"):
        state, _ = a_step(device)
        try:
            with Watch(device):
                read(state)
        except (HostSeen, RuntimeError, NotImplementedError):
            noticed.append(device)
    assert noticed


@torch.inference_mode()
def test_a_step_leaves_all_memory_where_it_is(by_step, windows):
    decoder = stays(by_step, eagerly)
    decoder.decode(windows[:2], options(sample_len=3)[:2])
    state = decoder._steady._state
    layers = [each for number in range(4) for kept in (state.cache, state.heard) for each in kept.layer(number)]
    held = [*state.by_row(), *layers, state.heard.mask, state.rules._suppressed]
    before = [each.data_ptr() for each in held]
    decoder.decode(windows[1:2], options(sample_len=9)[1:2])
    decoder.decode(windows[:2], options(sample_len=17)[:2])
    after = [*state.by_row(), *layers, state.heard.mask, state.rules._suppressed]
    assert decoder._steady._state is state and [each.data_ptr() for each in after] == before


# ---------------------------------------------------------------------------------------------- how it is recorded


def test_a_step_is_recorded_once_for_its_shape_and_replayed_from_then_on(by_step, windows):
    recorder = Recorder()
    decoder = stays(by_step, recorder)
    for _ in range(2):
        decoder.decode(windows[:1], options(sample_len=17)[:1])  # 16 behind the first token: two looks
    assert recorder.replays == [32]
    decoder.decode(windows[:1], options(sample_len=17, without_timestamps=True)[:1])  # other rules
    assert len(recorder.replays) == 2


def test_only_the_last_used_shapes_are_kept(by_step, windows, monkeypatch):
    monkeypatch.setattr(graphed_greedy, "_MOST_SHAPES", 2)
    recorder = Recorder()
    decoder = stays(by_step, recorder)
    decode = lambda number: decoder.decode(windows[number : number + 1], options(sample_len=2)[:1])  # noqa: E731
    for number in (0, 1, 0, 3, 0, 1):  # 1500, 500 and 250 positions: that of 500 is the one that is given up
        decode(number)
    assert recorder.replays == [24, 8, 8, 8]


def test_where_nothing_can_be_recorded_it_is_said_once_and_the_text_is_the_same(by_step, windows, wanted, caplog):
    failing = Failing(RuntimeError("operation not permitted when stream is capturing"))
    decoder = stays(by_step, failing)
    with caplog.at_level(logging.WARNING):
        for count in (1, 2):
            assert_same(decoder.decode(windows[:count], options()[:count]), wanted[:count])
    (record,) = caplog.records
    assert "not permitted" in record.getMessage() and failing.calls == 1


def test_a_lack_of_memory_is_raised_and_recording_is_tried_again(by_step, windows, caplog):
    failing = Failing(torch.OutOfMemoryError("CUDA out of memory"))
    decoder = stays(by_step, failing)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            decoder.decode(windows[:2], options()[:2])
    assert failing.calls == 2 and not caplog.records


def test_where_memory_ends_fewer_windows_are_decoded_at_once_from_then_on(by_step, windows, wanted, caplog):
    room, sizes = 2, []

    class Small:
        """A GPU on which a step for more than so many windows does not fit."""

        def __call__(self, step):
            rows = runner._decoder._steady._shape.rows
            sizes.append(rows)
            if rows > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step

    runner = BatchRunner(by_step._model, torch.float32)
    runner._decoder = stays(by_step, Small())
    asked = [Window(None, each, features=window) for window, each in zip(windows, options(), strict=True)]
    assert_same(runner.decode(asked), wanted)
    assert (sizes[0], runner.at_once) == (8, 2) and "continuing with 2" in caplog.text
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        runner.decode(asked[:1])


def test_the_error_that_counts_is_the_one_before_that_of_the_capture():
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")
    except RuntimeError as error:
        assert isinstance(first_error(error), torch.OutOfMemoryError)


def test_a_gpu_records_and_a_cpu_does_not():
    assert capture_on(torch.device("cuda")) is not None and capture_on(torch.device("cpu")) is None


def test_as_many_rows_as_fit_into_memory_are_a_number_that_steps_are_made_for():
    assert [most_rows(10, most_bytes) for most_bytes in (5, 10, 39, 40, 79, 641)] == [1, 1, 2, 4, 4, 64]
