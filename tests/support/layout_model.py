"""PP-DocLayoutV3 as in the installed transformers, cut to few narrow layers, with random weights.

Without its masks, whose random ones would be empty, and so would be all regions.
"""

from pathlib import Path

LABELS = ("text", "table", "display_formula", "image", "doc_title")


def write_model(folder: Path) -> Path:
    """Write the model to `folder`, as `inboxd models fetch` would."""
    import torch
    from transformers import AutoConfig, AutoModelForObjectDetection

    backbone = {
        "model_type": "hgnet_v2", "stem_channels": [3, 8, 8], "stage_in_channels": [8, 16, 16, 16],
        "stage_mid_channels": [8, 8, 8, 8], "stage_out_channels": [16, 16, 16, 16], "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [1, 1, 1, 1], "hidden_sizes": [16, 16, 16, 16], "depths": [1, 1, 1, 1],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }  # fmt: skip
    config = AutoConfig.for_model(
        "pp_doclayout_v3", backbone_config=backbone, encoder_in_channels=[16, 16, 16], encoder_hidden_dim=32,
        encoder_ffn_dim=32, encoder_attention_heads=2, d_model=32, decoder_in_channels=[32, 32, 32],
        decoder_ffn_dim=32, decoder_layers=2, decoder_attention_heads=2, num_queries=20, x4_feat_dim=16,
        mask_feature_channels=[8, 8], num_prototypes=8, global_pointer_head_size=8, mask_enhanced=False,
        id2label=dict(enumerate(LABELS)),
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForObjectDetection.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() >= 2:  # else nothing of the page would be left after some layers
            torch.nn.init.kaiming_normal_(parameter)
    model.save_pretrained(folder)
    return folder
