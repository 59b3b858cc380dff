"""Key/value caches of a fixed size, for which transformers compiles the decoding step (on CUDA, as a CUDA graph).

The growing cache copies all keys and values at each token, and launches each kernel from Python. A fixed one does
neither, but compiling needs a C compiler and takes a minute or two for each new shape. Where that fails, the engine
continues with the growing cache.
"""

import logging

from transformers import PreTrainedModel, StaticCache

_LENGTH_STEP = 1_024  # tokens: lengths are multiples of this, as each other one is compiled separately

log = logging.getLogger(__name__)


class FixedCache:
    """Makes the cache of each batch, until it turns out that one of a fixed size does not work with this model."""

    def __init__(self, model: PreTrainedModel, wanted: str):
        """wanted: "static", or "dynamic" for the growing cache."""
        self._model = model
        self.is_on = wanted == "static"
        if self.is_on and not model._can_compile_fullgraph:
            self.turn_off("transformers cannot compile this model")

    def arguments(self, tokens: int) -> dict[str, StaticCache]:
        """Arguments of `generate`; tokens: of a row, from the first of its prompt to the last of its answer."""
        if not self.is_on:
            return {}
        text = self._model.config.get_text_config(decoder=True)
        return {"past_key_values": StaticCache(config=text, max_cache_len=cache_length(tokens))}

    def turn_off(self, why: object) -> None:
        """Use the growing cache from now on."""
        self.is_on = False
        log.warning('cache = "static" does not work here, so decoding is slower: %s', why)


def cache_length(tokens: int) -> int:
    """The length of a cache for this many tokens."""
    return -(-tokens // _LENGTH_STEP) * _LENGTH_STEP
