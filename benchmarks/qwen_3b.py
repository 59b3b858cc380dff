"""The shape of Qwen2.5-VL-3B, for models with random weights, which are as fast as the published ones."""

VOCABULARY, LAYERS, SIGHT_LAYERS, WIDTH = 151_936, 36, 32, 2048

TEXT = {  # arguments of transformers' text configuration, except the number of layers and the vocabulary size
    "hidden_size": WIDTH,
    "intermediate_size": 11008,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}

VISION = {
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": WIDTH,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
