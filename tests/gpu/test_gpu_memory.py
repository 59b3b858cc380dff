"""Memory of a GPU: captures that fail, batches that do not fit, and everything returned in the end."""

import gc
from argparse import Namespace

import pytest

from processors.vlm.types import PageRequest

PIXELS, PAGES = 640_000, 16
EXTRA_GIGABYTES = (6.0, 1.5, 0.4)  # beside the weights: less each time


def test_failed_capture_leaves_the_allocator_as_it_was(gpu):
    """Blocks that torch keeps are used again; otherwise the second part of this would be out of memory."""
    import torch

    from processors.whisper.decoder.cuda_graphs import CudaGraphs

    numbers = torch.ones(8, device=gpu)

    def waits_for_the_host() -> None:
        numbers.add_(1)
        float(numbers.sum())

    graphs = CudaGraphs(gpu)
    with pytest.raises(RuntimeError):
        graphs(waits_for_the_host)
    graphs(lambda: numbers.mul_(1.0) and None)()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info()[0]
    pieces = [torch.empty(int(free * 0.2), dtype=torch.uint8, device=gpu) for _ in range(4)]
    del pieces  # kept by torch, in four blocks
    torch.empty(int(free * 0.6), dtype=torch.uint8, device=gpu)


def an_engine(layers: int):
    from benchmarks import throughput

    given = Namespace(device="auto", layers=layers, pixels=PIXELS, batches=[PAGES], cache="dynamic")
    return throughput._of_shape(given), [throughput._page(number, PIXELS) for number in range(PAGES)]


@pytest.mark.parametrize("extra", EXTRA_GIGABYTES)
def test_all_pages_are_answered_where_memory_ends(extra: float, gpu, report):
    import torch

    engine, pages = an_engine(layers=6)
    base, total = torch.cuda.memory_allocated(), torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, (base + extra * 1e9) / total))
    try:
        asked = [PageRequest(image=page, prompt="Read.", token_limit=20) for page in pages]
        answers = engine.answer(asked, lambda: None)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(answers) == PAGES and not any(answer.error for answer in answers)
    report.append(f"- {extra} GB beside the weights: all {PAGES} pages, {engine.fewest_at_once} at once")
    gc.collect()
    assert torch.cuda.memory_allocated() - base < 64e6, "batches leave nothing behind"


def test_memory_is_returned_when_a_model_is_dropped(gpu):
    import torch

    before = torch.cuda.memory_allocated()
    engine, pages = an_engine(layers=2)
    engine.answer([PageRequest(image=pages[0], prompt="Read.", token_limit=3)], lambda: None)
    assert torch.cuda.memory_allocated() > before
    del engine
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() - before < 16e6


def test_free_memory_counts_what_torch_keeps(gpu):
    import torch

    from processors.torch_device import free_bytes

    torch.cuda.empty_cache()
    before = free_bytes(gpu)
    block = torch.empty(512 << 20, dtype=torch.uint8, device=gpu)
    del block
    assert abs(free_bytes(gpu) - before) < 64 << 20
