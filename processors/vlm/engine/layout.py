"""PP-DocLayout in transformers: the regions of a page in reading order. Never uses the network.

The image processor of transformers needs torchvision for this model; this module does the same with Pillow: resize to a
square, divide by 255 (preprocessor_config.json of PP-DocLayoutV3: mean 0, deviation 1).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import AutoModelForObjectDetection

from processors.contract import Unavailable
from processors.vlm.engine import weights
from processors.vlm.regions import Region, kind_of

_SIDE = 800  # pixels, of the square that the model sees
_THRESHOLD = 0.5  # of a region's score


class LayoutDetector:
    """One loaded model; for one thread."""

    def __init__(self, model: PreTrainedModel, name: str):
        self._model, self.name = model, name
        self._labels = {int(number): label for number, label in (model.config.id2label or {}).items()}

    @classmethod
    def load(cls, folder: Path, name: str, models: Path, device: torch.device) -> "LayoutDetector":
        """The model in `folder`, in float32: it is small.

        Raises:
            Unavailable: its files are damaged, or it finds no reading order.
        """
        try:
            model = AutoModelForObjectDetection.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            fix = weights.how_to_fix(name, folder, models)
            why = str(error).strip()[:200]
            raise Unavailable(f"The layout model in {folder} cannot be loaded. {fix} ({why})") from error
        return cls(model.to(device).eval(), name)

    @torch.inference_mode()
    def regions(self, page: Image.Image) -> list[Region]:
        """The regions of a page, in reading order."""
        output = self._model(pixel_values=_pixels(page).to(self._model.device))
        scores, places = output.logits[0].float().sigmoid().flatten().topk(output.logits.shape[1])
        classes = output.logits.shape[2]
        queries, labels = places // classes, places % classes
        ranks = _reading_order(output.order_logits[0].float())
        found = sorted(
            (int(ranks[query]), int(label), output.pred_boxes[0, query].tolist())
            for score, query, label in zip(scores.tolist(), queries.tolist(), labels.tolist(), strict=True)
            if score >= _THRESHOLD
        )
        return [self._region(label, box) for _, label, box in found]

    def _region(self, label: int, box: Sequence[float]) -> Region:
        """box: center x, center y, width, height, as shares of the page."""
        x, y, width, height = box
        left, top, right, bottom = (
            min(1.0, max(0.0, each)) for each in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        )
        return Region(left=left, top=top, right=right, bottom=bottom, kind=kind_of(self._labels[label]))


def _pixels(page: Image.Image) -> torch.Tensor:
    """float32, shape (1, 3, 800, 800), in [0, 1]."""
    square = page.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(square, dtype=np.float32) / 255).permute(2, 0, 1)[None]


def _reading_order(order_logits: torch.Tensor) -> torch.Tensor:
    """The rank of each query, int64, shape (n_queries,). order_logits: (n_queries, n_queries), of one query before
    another; each pair votes once, by its upper triangle (PPDocLayoutV3ImageProcessor._get_order_seqs)."""
    before = order_logits.sigmoid()
    votes = before.triu(1).sum(0) + (1 - before.T).tril(-1).sum(0)
    ranks = torch.empty_like(votes, dtype=torch.long)
    ranks[votes.argsort()] = torch.arange(len(votes), device=votes.device)
    return ranks
