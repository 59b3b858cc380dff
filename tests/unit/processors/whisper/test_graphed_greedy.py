"""Greedy decoding on the device gives the text of decoding step by step; a step exchanges no values with the host.

There is no GPU here: all but the capture itself runs on the CPU. A step can be captured because it runs on tensors
without values (torch's "meta" device), where reading one back raises, and because no operator in it makes a tensor of
host data (which only the CPU shows).
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
from processors.whisper.decoder.audio_encoder import AudioEncoder
from processors.whisper.decoder.cuda_graphs import capture_on, eagerly, first_error
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.decoder.graphed_greedy import GraphedState, RowDemand, StepShape, max_rows
from processors.whisper.decoder.text_decoder import TextDecoder
from processors.whisper.engines.batch_runner import BatchRunner
from processors.whisper.engines.window import Window
from tests.unit.processors.whisper.test_whisper import read_sound

pytestmark = pytest.mark.slow
NAMES = ("jfk.flac", "LJ001-0002.mp3", "LJ001-0004.flac", "LJ001-0006.ogg", "LJ001-0008.8k.wav")
POSITIONS = (None, 500, None, 250, 750)
LONG = "and it is worth mention in passing that, as an example " * 25  # longer than a prompt: 223 tokens
PROMPTS = (None, "And it is worth mention", None, "the", LONG)
SMALL = ModelDimensions(  # as small as possible, with the vocabulary of a multilingual model
    n_mels=80, n_audio_ctx=500, n_audio_state=128, n_audio_head=2, n_audio_layer=1,
    n_vocab=51865, n_text_ctx=150, n_text_state=128, n_text_head=2, n_text_layer=2,
)  # fmt: skip


class Recorder:
    """Replaces CUDA graphs: runs the step to warm up, as they do, and counts the replays."""

    def __init__(self):
        self.replays: list[int] = []  # of each captured step

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
    """A capture that runs the step, as with CUDA, and then raises."""

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
    """The results of decoding step by step."""
    return by_step.decode(windows, options())


@pytest.fixture(scope="module")
def beginnings(by_step, windows):
    """The same, cut off after a few tokens."""
    return by_step.decode(windows, options(sample_len=9))


def options(**choices) -> list[DecodingOptions]:
    return [DecodingOptions(fp16=False, language="en", prompt=prompt, **choices) for prompt in PROMPTS]


def on_device(by_step, capture) -> BatchDecoder:
    """A decoder that stays on the device, with the layers of another one."""
    decoder = BatchDecoder.__new__(BatchDecoder)
    decoder._model, decoder._tasks = by_step._model, {}
    decoder.audio_encoder, decoder.text_decoder = by_step.audio_encoder, by_step.text_decoder
    decoder._graphed = graphed_greedy.GraphedGreedyDecoder(by_step.text_decoder, capture)
    return decoder


def random_model() -> Whisper:
    """A small random model, always the same."""
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


# ---------------------------------------------------------------------------------------------- text


def test_text_equals_that_of_decoding_step_by_step(by_step, windows, wanted):
    recorder = Recorder()
    decoder = on_device(by_step, recorder)
    assert "Americans" in wanted[0].text and len({len(each.tokens) for each in wanted}) > 2
    for count in (5, 2):  # with three and no spare rows, in used memory
        assert_same(decoder.decode(windows[:count], options()[:count]), wanted[:count])
    assert all(recorder.replays)


def test_windows_without_timestamps_or_cut_off_end_at_the_same_token(by_step, windows):
    decoder = on_device(by_step, Recorder())
    for choices in ({"sample_len": 1}, {"without_timestamps": True, "sample_len": 12}):
        wanted = by_step.decode(windows[:3], options(**choices)[:3])
        assert_same(decoder.decode(windows[:3], options(**choices)[:3]), wanted)
    assert len(wanted[0].tokens) > 11


@torch.inference_mode()
def test_endless_text_is_cut_off_at_the_context_length():
    model = random_model()
    prompts = (None, None, "a", LONG, LONG)
    given = [DecodingOptions(fp16=False, language="en", prompt=each, suppress_tokens=[50257]) for each in prompts]
    windows = torch.randn(5, 500, SMALL.n_audio_state)
    wanted = BatchDecoder(model, torch.float32).decode(windows, given)
    recorder = Recorder()
    decoder = BatchDecoder(model, torch.float32, capture=recorder)
    assert_same(decoder.decode(windows, given), wanted)
    prompt_length = len(DecodingTask(model, given[4]).initial_tokens)
    assert prompt_length + len(wanted[4].tokens) == SMALL.n_text_ctx + 1  # the last one is never an input
    assert len(wanted[0].tokens) == SMALL.n_text_ctx // 2
    # In 128 positions, in all, and in 128 again once three shorter ones are left: spare rows must not be beyond them.
    assert recorder.replays == [48, 24, 8]
    decoder._graphed._state.rows.position.fill_(SMALL.n_text_ctx - 1)  # as longer ones may leave them
    few = [replace(each, sample_len=2) for each in given[:3]]
    assert_same(decoder.decode(windows[:3], few), BatchDecoder(model, torch.float32).decode(windows[:3], few))


def test_nan_does_not_reach_the_next_windows(by_step, windows):
    decoder = on_device(by_step, eagerly)
    wanted = decoder.decode(windows[:2], options(sample_len=9)[:2])
    decoder.decode([torch.full_like(windows[0], float("nan"))] * 2, options(sample_len=9)[:2])
    assert_same(decoder.decode(windows[:2], options(sample_len=9)[:2]), wanted)


def test_beams_and_samples_are_decoded_step_by_step(by_step, windows):
    recorder = Recorder()
    on_device(by_step, recorder).decode(windows[:1], options(beam_size=2, sample_len=3)[:1])
    on_device(by_step, recorder).decode(windows[:1], options(temperature=0.5, sample_len=3)[:1])
    assert not recorder.replays


def test_neighbors_of_equal_length_are_encoded_in_one_pass(model, windows):
    encoder = AudioEncoder(model.encoder, torch.float32, kernels.plain, F.scaled_dot_product_attention)
    encoder.sounds_at_once = 2
    passes, encode = [], encoder.encode
    encoder.encode = lambda mels: (passes.append(len(mels)), encode(mels))[1]
    mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(read_sound(name)))[:, :500] for name in NAMES]
    found = encoder.encode_all([*mels[:3], mels[3][:, :200]])
    assert passes == [2, 1, 1] and [len(each) for each in found] == [250, 250, 250, 100]
    assert torch.allclose(found[1], encode(mels[1][None])[0], atol=1e-3)


# ---------------------------------------------------------------------------------------------- a step


class HostAccess(AssertionError):
    pass


class Watch(TorchDispatchMode):
    """Raises if an operator reads a value back, makes a tensor of host data, or uses another device."""

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
            raise HostAccess(f"{name} on {devices}")
        return found


@cache
@torch.inference_mode()
def a_step(device: str, rows: int = 4):
    """A state and its step; made once."""
    model = random_model()
    del model.alignment_heads  # a sparse tensor: there are none without values
    model.to(device)
    task = DecodingTask(model, DecodingOptions(language="en", fp16=False))
    state = GraphedState(TextDecoder(model, torch.float32, kernels.choose(model, torch.float32)), task, rows)
    state.start(task, [4] * rows, torch.zeros(rows, SMALL.n_vocab, device=device))
    return state, state.step(StepShape(rows=rows, capacity=128, positions=500, is_masked=True, is_timed=True))


@pytest.mark.parametrize("device", ["meta", "cpu"])
@torch.inference_mode()
def test_step_exchanges_no_values_with_the_host(device):
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
def test_watch_detects_values_exchanged_with_the_host(read):
    detected = []
    for device in ("meta", "cpu"):
        state, _ = a_step(device)
        try:
            with Watch(device):
                read(state)
        except (HostAccess, RuntimeError, NotImplementedError):
            detected.append(device)
    assert detected


@torch.inference_mode()
def test_step_keeps_all_tensors_at_their_addresses(by_step, windows):
    decoder = on_device(by_step, eagerly)
    decoder.decode(windows[:2], options(sample_len=3)[:2])
    state = decoder._graphed._state
    layers = [each for number in range(4) for kept in (state.cache, state.cross_cache) for each in kept.layer(number)]
    held = [*state.by_row(), *layers, state.cross_cache.mask, state.logit_filter._suppressed]
    before = [each.data_ptr() for each in held]
    decoder.decode(windows[1:2], options(sample_len=9)[1:2])
    decoder.decode(windows[:2], options(sample_len=17)[:2])
    after = [*state.by_row(), *layers, state.cross_cache.mask, state.logit_filter._suppressed]
    assert decoder._graphed._state is state and [each.data_ptr() for each in after] == before


# ---------------------------------------------------------------------------------------------- capture


def test_step_is_captured_once_for_each_shape(by_step, windows):
    recorder = Recorder()
    decoder = on_device(by_step, recorder)
    for _ in range(2):
        decoder.decode(windows[:1], options(sample_len=17)[:1])  # 16 after the first token: two polls
    assert recorder.replays == [32]
    decoder.decode(windows[:1], options(sample_len=17, without_timestamps=True)[:1])  # other filters
    assert len(recorder.replays) == 2


def test_least_recently_used_shapes_are_dropped(by_step, windows, monkeypatch):
    monkeypatch.setattr(graphed_greedy, "_MAX_SHAPES", 2)
    recorder = Recorder()
    decoder = on_device(by_step, recorder)
    decode = lambda number: decoder.decode(windows[number : number + 1], options(sample_len=2)[:1])  # noqa: E731
    for number in (0, 1, 0, 3, 0, 1):  # 1500, 500 and 250 positions: that of 500 is dropped
        decode(number)
    assert recorder.replays == [24, 8, 8, 8]


def test_failed_capture_is_logged_once_and_the_text_is_the_same(by_step, windows, beginnings, caplog):
    failing = Failing(RuntimeError("operation not permitted when stream is capturing"))
    decoder = on_device(by_step, failing)
    with caplog.at_level(logging.WARNING):
        for count in (1, 2):
            assert_same(decoder.decode(windows[:count], options(sample_len=9)[:count]), beginnings[:count])
    (record,) = caplog.records
    assert "not permitted" in record.getMessage() and failing.calls == 1


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: out of memory")]
)
def test_out_of_memory_while_capturing_is_raised(by_step, windows, caplog, error):
    failing = Failing(error)
    decoder = on_device(by_step, failing)
    for _ in range(2):
        with pytest.raises(type(error), match="out of memory"):
            decoder.decode(windows[:2], options()[:2])
    assert failing.calls == 2 and not caplog.records


def test_batches_are_halved_where_memory_ends(by_step, windows, beginnings, caplog):
    room, sizes = 2, []

    class Small:
        """A GPU whose memory does not fit a step for more windows."""

        def __call__(self, step):
            rows = runner._decoder._graphed._shape.rows
            sizes.append(rows)
            if rows > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step

    runner = BatchRunner(by_step._model, torch.float32)
    runner._decoder = on_device(by_step, Small())
    asked = [Window(None, each, features=window) for window, each in zip(windows, options(sample_len=9), strict=True)]
    assert_same(runner.decode(asked), beginnings)
    assert (sizes[0], runner.at_once) == (4, 2) and "continuing with 2" in caplog.text
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        runner.decode(asked[:1])


def test_root_cause_of_a_failed_capture_is_found():
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")
    except RuntimeError as error:
        assert isinstance(first_error(error), torch.OutOfMemoryError)


def test_steps_are_captured_on_a_gpu_only():
    assert capture_on(torch.device("cuda")) is not None and capture_on(torch.device("cpu")) is None


def test_rows_that_fit_into_memory_are_a_power_of_two():
    assert [max_rows(10, max_bytes) for max_bytes in (5, 10, 39, 40, 79, 641)] == [1, 1, 2, 4, 4, 64]


# ---------------------------------------------------------------------------------------------- memory of few rows


def test_many_small_batches_free_the_memory_of_the_other_rows():
    demand = RowDemand()
    assert demand.rows(0, 64) == 64
    small = [demand.rows(64, needed) for needed in [1, 4, 2] * 20]
    assert small.index(4) == 31 and set(small[:31]) == {64}, "as many as the largest of them needed"


def test_larger_batch_among_small_ones_keeps_the_memory():
    demand = RowDemand()
    for _ in range(5):
        assert {demand.rows(64, 1) for _ in range(31)} == {64}
        assert demand.rows(64, 32) == 64
    assert demand.rows(16, 64) == 64, "and a batch always gets the rows that it needs"


@torch.inference_mode()
def test_text_is_the_same_after_the_memory_shrank(monkeypatch):
    monkeypatch.setattr(graphed_greedy, "_SMALL_BATCHES", 2)
    model, windows = random_model(), torch.randn(8, 500, SMALL.n_audio_state)
    given = [DecodingOptions(fp16=False, language="en", sample_len=9)] * 8
    decoder = BatchDecoder(model, torch.float32, capture=Recorder())
    decoder.decode(windows, given)
    wanted = decoder.decode(windows[:1], given[:1])
    assert decoder._graphed._state.size == 8
    assert_same(decoder.decode(windows[:1], given[:1]), wanted)
    assert decoder._graphed._state.size == 1
    assert_same(decoder.decode(windows[:3], given[:3])[:1], wanted)
    assert decoder._graphed._state.size == 4
