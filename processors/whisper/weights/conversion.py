"""Convert CTranslate2 Whisper weights to an openai-whisper checkpoint, without loss of precision.

The file format is that of ctranslate2/specs/model_spec.py, `ModelSpec._serialize` (binary versions 2 to 6):

    u32 version | string name | u32 revision | u32 count
    count * (string name | u8 rank | u32 dimension * rank | u8 type | u32 bytes | raw)
    u32 aliases | aliases * (string alias | string variable)        a string: u16 length with its NUL, bytes, NUL

Does not download or store anything; see `source`.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BFLOAT16 = 5  # numpy has no such type: widened to float32, which is exact
_OLD_TYPE_OF_ITEM_SIZE = {4: 0, 2: 2, 1: 1}  # before version 4 a variable stored only the size of its items
_HEAD_WIDTH = 64  # of every published Whisper; used if the file does not contain the number of heads


class BadWeights(ValueError):
    """The bytes are not CTranslate2 Whisper weights, or cannot be converted."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The contents of a checkpoint for openai-whisper's `load_model`, as numpy arrays."""

    dims: dict[str, int]  # the fields of whisper.model.ModelDimensions
    state: dict[str, np.ndarray]  # by openai-whisper's parameter names

    def sha256(self) -> str:
        """A hash of names, types, shapes and values; does not depend on the file format or the version of torch."""
        digest = hashlib.sha256()
        for name, array in sorted(self.state.items()):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def convert(model: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a CTranslate2 `model.bin`.

    Raises:
        BadWeights: damaged, or not a Whisper model.
    """
    try:
        return _checkpoint(_Variables.read(model))
    except (KeyError, struct.error, UnicodeDecodeError) as error:
        raise BadWeights(f"the weights are incomplete ({error})") from error


@dataclass(frozen=True, kw_only=True)
class _Variables:
    arrays: Mapping[str, np.ndarray]  # as stored
    aliases: Mapping[str, str] = field(default_factory=dict)  # further names of stored arrays

    @classmethod
    def read(cls, model: bytes) -> "_Variables":
        cursor = _Cursor(model)
        version = cursor.number("I")
        if not 2 <= version <= 6:
            raise BadWeights(f"CTranslate2 format version {version} is not supported")
        name = cursor.text()
        if name != "WhisperSpec":
            raise BadWeights(f"these are weights of {name!r}, not of Whisper")
        cursor.number("I")  # the specification's revision: it did not change the names below
        arrays = dict(_variable(cursor, version) for _ in range(cursor.number("I")))
        aliases = {cursor.text(): cursor.text() for _ in range(cursor.number("I"))} if version >= 3 else {}
        if cursor.left:
            raise BadWeights(f"{cursor.left} extra bytes at the end")
        return cls(arrays=arrays, aliases=aliases)

    def __getitem__(self, name: str) -> np.ndarray:
        """The array in its stored float type; int8 and int16 are scaled to float32."""
        name = self.aliases.get(name, name)
        array, scale = self.arrays[name], self.arrays.get(f"{name}_scale")
        if scale is None:
            return array
        return array.astype(np.float32) / scale.astype(np.float32).reshape(
            scale.shape + (1,) * (array.ndim - scale.ndim)
        )

    def layers(self, part: str) -> range:
        count = 0
        while f"{part}/layer_{count}/self_attention/layer_norm/gamma" in self.arrays:
            count += 1
        return range(count)

    def heads(self, part: str, width: int) -> int:
        stored = self.arrays.get(f"{part}/num_heads")
        return width // _HEAD_WIDTH if stored is None else int(stored)


class _Cursor:
    def __init__(self, data: bytes):
        self._data = memoryview(data)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def number(self, form: str) -> int:
        value: int
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def raw(self, size: int) -> memoryview:
        if size > self.left:
            raise BadWeights("the weights end too early")
        self._at += size
        return self._data[self._at - size : self._at]

    def text(self) -> str:
        return bytes(self.raw(self.number("H")))[:-1].decode()


def _variable(cursor: _Cursor, version: int) -> tuple[str, np.ndarray]:
    name = cursor.text()
    shape = [cursor.number("I") for _ in range(cursor.number("B"))]
    if version >= 4:
        type_number, size = cursor.number("B"), cursor.number("I")
    else:
        item_size = cursor.number("B")
        type_number, size = _OLD_TYPE_OF_ITEM_SIZE[item_size], cursor.number("I") * item_size
    raw = cursor.raw(size)
    if type_number == _BFLOAT16:
        values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(raw, _TYPES[type_number])
    try:
        return name, values.reshape(shape)
    except ValueError as error:
        raise BadWeights(f"the variable {name} does not have its declared size") from error


def _checkpoint(source: _Variables) -> Checkpoint:
    state: dict[str, np.ndarray] = {}
    for number in (1, 2):
        state |= _affine(source, f"encoder/conv{number}", f"encoder.conv{number}")
    for part in ("encoder", "decoder"):
        state[f"{part}.positional_embedding"] = source[f"{part}/position_encodings/encodings"]
        for number in source.layers(part):
            state |= _block(source, f"{part}/layer_{number}", f"{part}.blocks.{number}", cross=part == "decoder")
    state |= _norm(source, "encoder/layer_norm", "encoder.ln_post")
    state |= _norm(source, "decoder/layer_norm", "decoder.ln")
    state["decoder.token_embedding.weight"] = source["decoder/embeddings/weight"]
    if not np.array_equal(source["decoder/projection/weight"], source["decoder/embeddings/weight"]):
        raise BadWeights("the output projection differs from the token embedding, which no Whisper model has")
    return Checkpoint(dims=_dims(source, state), state=state)


def _dims(source: _Variables, state: Mapping[str, np.ndarray]) -> dict[str, int]:
    audio_context, width = state["encoder.positional_embedding"].shape
    text_context, _ = state["decoder.positional_embedding"].shape
    return {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": audio_context,
        "n_audio_state": width,
        "n_audio_head": source.heads("encoder", width),
        "n_audio_layer": len(source.layers("encoder")),
        "n_vocab": state["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": text_context,
        "n_text_state": width,
        "n_text_head": source.heads("decoder", width),
        "n_text_layer": len(source.layers("decoder")),
    }


def _block(source: _Variables, old: str, new: str, *, cross: bool) -> dict[str, np.ndarray]:
    state = _norm(source, f"{old}/self_attention/layer_norm", f"{new}.attn_ln")
    state |= _self_attention(source, f"{old}/self_attention", f"{new}.attn")
    if cross:
        state |= _norm(source, f"{old}/attention/layer_norm", f"{new}.cross_attn_ln")
        state |= _cross_attention(source, f"{old}/attention", f"{new}.cross_attn")
    state |= _norm(source, f"{old}/ffn/layer_norm", f"{new}.mlp_ln")
    state |= _affine(source, f"{old}/ffn/linear_0", f"{new}.mlp.0")
    return state | _affine(source, f"{old}/ffn/linear_1", f"{new}.mlp.2")


def _self_attention(source: _Variables, old: str, new: str) -> dict[str, np.ndarray]:
    """CTranslate2 fuses: linear_0 is [query; key; value], linear_1 the output."""
    query, key, value = np.split(source[f"{old}/linear_0/weight"], 3)
    query_bias, key_bias, value_bias = np.split(source[f"{old}/linear_0/bias"], 3)
    _require_no_bias(key_bias, old)
    return {
        f"{new}.query.weight": query,
        f"{new}.query.bias": query_bias,
        f"{new}.key.weight": key,
        f"{new}.value.weight": value,
        f"{new}.value.bias": value_bias,
        **_affine(source, f"{old}/linear_1", f"{new}.out"),
    }


def _cross_attention(source: _Variables, old: str, new: str) -> dict[str, np.ndarray]:
    """Here linear_0 is the query, linear_1 [key; value], linear_2 the output."""
    key, value = np.split(source[f"{old}/linear_1/weight"], 2)
    key_bias, value_bias = np.split(source[f"{old}/linear_1/bias"], 2)
    _require_no_bias(key_bias, old)
    return {
        **_affine(source, f"{old}/linear_0", f"{new}.query"),
        f"{new}.key.weight": key,
        f"{new}.value.weight": value,
        f"{new}.value.bias": value_bias,
        **_affine(source, f"{old}/linear_2", f"{new}.out"),
    }


def _require_no_bias(key_bias: np.ndarray, layer: str) -> None:
    """Whisper's keys have no bias; CTranslate2 stores zeros there."""
    if np.any(key_bias):
        raise BadWeights(f"{layer} has a bias on its keys, which no Whisper model has")


def _affine(source: _Variables, old: str, new: str) -> dict[str, np.ndarray]:
    return {f"{new}.weight": source[f"{old}/weight"], f"{new}.bias": source[f"{old}/bias"]}


def _norm(source: _Variables, old: str, new: str) -> dict[str, np.ndarray]:
    return {f"{new}.weight": source[f"{old}/gamma"], f"{new}.bias": source[f"{old}/beta"]}
