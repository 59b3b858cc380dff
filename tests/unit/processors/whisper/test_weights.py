"""Conversion of what packages carry, and where weights are looked for."""

import itertools
import os
import struct

import numpy as np
import pytest

from processors import contract
from processors import models_cli as models_command
from processors.models.archive import Archive
from processors.whisper.weights import catalog, conversion, source


def as_ctranslate2(state: dict[str, np.ndarray], heads: int, *, layers: int = 1, spec: str = "WhisperSpec") -> bytes:
    """A small openai-whisper state in CTranslate2's form, written by the rules of its model_spec.py."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out: dict[str, np.ndarray] = {"encoder/num_heads": np.int16(heads), "decoder/num_heads": np.int16(heads)}
    renamed = {
        "conv1": "encoder/conv1",
        "conv2": "encoder/conv2",
        "ln_post": "encoder/layer_norm",
        "ln": "decoder/layer_norm",
    }
    for name, array in state.items():
        part, *path, leaf = name.split(".")
        if path == ["token_embedding"]:
            out["decoder/embeddings/weight"] = array
        elif leaf == "positional_embedding":
            out[f"{part}/position_encodings/encodings"] = array
        elif path[0] in renamed:
            kind = {"weight": "gamma", "bias": "beta"}[leaf] if "ln" in path[0] else leaf
            out[f"{renamed[path[0]]}/{kind}"] = array
    for part, layer in itertools.product(("encoder", "decoder"), range(layers)):
        block, stored = f"{part}.blocks.{layer}.", f"{part}/layer_{layer}"
        for new, old in (("attn", "self_attention"), ("cross_attn", "attention")):
            if f"{block}{new}.query.weight" not in state:
                continue
            here = {n.removeprefix(f"{block}{new}."): a for n, a in state.items() if n.startswith(f"{block}{new}.")}
            here["key.bias"] = np.zeros_like(here["query.bias"])
            fused = [("query", "key", "value")] if new == "attn" else [("query",), ("key", "value")]
            for number, names in enumerate([*fused, ("out",)]):
                for leaf in ("weight", "bias"):
                    joined = np.concatenate([here[f"{name}.{leaf}"] for name in names])
                    out[f"{stored}/{old}/linear_{number}/{leaf}"] = joined
            for leaf, kind in (("weight", "gamma"), ("bias", "beta")):
                out[f"{stored}/{old}/layer_norm/{kind}"] = state[f"{block}{new}_ln.{leaf}"]
        for leaf, kind in (("weight", "gamma"), ("bias", "beta")):
            out[f"{stored}/ffn/layer_norm/{kind}"] = state[f"{block}mlp_ln.{leaf}"]
            for number, mlp in ((0, 0), (1, 2)):
                out[f"{stored}/ffn/linear_{number}/{leaf}"] = state[f"{block}mlp.{mlp}.{leaf}"]
    types = {np.dtype(np.float32): 0, np.dtype(np.int16): 2, np.dtype(np.float16): 4}
    raw = bytearray(struct.pack("<I", 6) + text(spec) + struct.pack("<II", 3, len(out)))
    for name, array in out.items():
        array = np.asarray(array)
        raw += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        raw += struct.pack("<BI", types[array.dtype], array.nbytes) + array.tobytes()
    return bytes(raw) + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


@pytest.fixture(scope="module")
def small() -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Dimensions and state of a Whisper of one layer."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(2)
    dims = ModelDimensions(80, 100, 64, 2, 1, 600, 50, 64, 2, 1)
    state = Whisper(dims).state_dict()
    state["decoder.positional_embedding"].normal_()  # the library leaves it uninitialized
    return vars(dims), {name: tensor.half().numpy() for name, tensor in state.items()}


def test_conversion_is_exact_for_every_tensor(small):
    dims, state = small
    checkpoint = conversion.convert(as_ctranslate2(state, heads=2))
    assert checkpoint.dims == dims
    assert checkpoint.state.keys() == state.keys()
    assert all(np.array_equal(checkpoint.state[name], state[name]) for name in state)


def test_damaged_or_foreign_weights_are_refused(small):
    good = as_ctranslate2(small[1], heads=2)
    for bad in (good[:-100], good[: len(good) // 2], good + b"x", b"", b"\x09\0\0\0" + good[4:]):
        with pytest.raises(conversion.BadWeights):
            conversion.convert(bad)
    with pytest.raises(conversion.BadWeights, match="TransformerSpec"):
        conversion.convert(as_ctranslate2(small[1], heads=2, spec="TransformerSpec"))


@pytest.fixture
def tiny() -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Of the shape of tiny.en, all zeros except the embeddings."""
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)
    state = {name: np.zeros(tensor.shape, np.float16) for name, tensor in Whisper(dims).state_dict().items()}
    state["decoder.token_embedding.weight"][:] = 0.5
    return vars(dims), state


def test_folder_without_weights_is_named_in_the_error(tmp_path, capsys):
    assert (
        models_command.main(["--models", str(tmp_path / "models"), "convert", "tiny", str(tmp_path)]) == os.EX_NOINPUT
    )
    printed = capsys.readouterr().err
    assert printed.startswith(f"cannot read {tmp_path}/model.bin (No such file") and "give faster-whisper's" in printed


def test_weights_of_faster_whisper_are_converted(tiny, tmp_path):
    dims, state = tiny
    folder, models = tmp_path / "faster", tmp_path / "models"
    folder.mkdir()
    (folder / "model.bin").write_bytes(as_ctranslate2(state, heads=6, layers=4))
    run = lambda *given: models_command.main(["--models", str(models), *map(str, given)])  # noqa: E731
    assert run("convert", "tiny", folder) == os.EX_DATAERR  # it is English-only
    assert run("convert", "nothing", folder) == os.EX_USAGE
    assert run("convert", "tiny.en", folder / "no") == os.EX_NOINPUT
    assert not list(models.rglob("*.pt"))
    assert run("convert", "tiny.en", folder) == os.EX_OK
    loaded = source.load("tiny.en", models, contract.Progress(lambda message: None))
    assert loaded["dims"] == dims
    assert all(np.array_equal(loaded["model_state_dict"][name].numpy(), state[name]) for name in state)
    assert run("verify", "tiny.en") == os.EX_OK
    assert str(folder) in source.present("tiny.en", models).source


def test_weights_of_an_installed_package_are_used_without_running_its_code(small, tmp_path, monkeypatch):
    model = as_ctranslate2(small[1], heads=2)
    package = tmp_path / "site" / "carrying_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('its code was run')")
    (package / "model.bin").write_bytes(model)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    archive = Archive(
        package="carrying-weights", version="1", sha256="0", size_bytes=1, module="carrying_weights", member="model.bin"
    )
    sha256 = conversion.convert(model).sha256()
    known = catalog.Package(archives=(archive,), tensors_sha256=sha256, licence="MIT")
    monkeypatch.setattr(catalog, "PACKAGES", {"tiny.en": known})
    checkpoint = source.load("tiny.en", tmp_path / "models", contract.Progress(lambda message: None))
    assert checkpoint["dims"] == small[0]
    assert not (tmp_path / "models").exists()


def test_catalog_equals_that_of_the_library():
    import whisper
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    assert dict(catalog.LANGUAGES) == LANGUAGES and dict(catalog.CODES) == TO_LANGUAGE_CODE
    assert set(catalog.NAMES) == set(whisper.available_models())
    assert all(whisper._MODELS[alias] == whisper._MODELS[name] for alias, name in catalog.ALIASES.items())
