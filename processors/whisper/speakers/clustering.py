"""Clusters embeddings of voices into speakers. Pure; independent of sound and text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_SPEAKER = 0.62  # mean cosine similarity of the windows of two groups above which they are one speaker
_MAX_CLUSTERED = (
    1200  # windows; if there are more, evenly spaced ones are clustered, and the others join their clusters
)
_SMALLEST_SHARE, _SMALLEST_WINDOWS = 0.02, 4  # of a speaker; fewer windows are noise, laughter, or two voices at once
_STAY = 0.04  # similarity by which another speaker must be closer than the current one
_ROUNDS = 3


Vectors = NDArray[np.float32]  # (n, width), each of length 1


@dataclass(frozen=True, kw_only=True)
class Count:
    """The permitted number of speakers."""

    least: int = 1
    most: int | None = None  # None: as many as there are

    @property
    def is_fixed(self) -> bool:
        return self.least == self.most


def speakers(embeddings: Vectors, count: Count) -> tuple[NDArray[np.intp], Vectors]:
    """The speaker of each window, (n_windows,) from 0 on, and the speakers' centroids, (n_speakers, width).

    embeddings: (n_windows, width), in order of time.
    """
    step = max(1, -(-len(embeddings) // _MAX_CLUSTERED))
    groups = _groups(embeddings[::step], count)
    centroids = _unit(np.stack([embeddings[::step][group].sum(axis=0) for group in groups]))
    for _ in range(_ROUNDS):
        labels = _nearest(embeddings, centroids)
        sums = [_sum_of(embeddings, labels == number, before) for number, before in enumerate(centroids)]
        centroids = _unit(np.stack(sums))
    return _steady(embeddings, centroids), centroids


def _groups(embeddings: Vectors, count: Count) -> list[list[int]]:
    """Agglomerative clustering by average linkage, cut where the similarity ends or the count is reached; groups that
    are too small are left out."""
    merges = _merges(embeddings)
    large = [len(_large(_cut(len(embeddings), merges[:number]))) for number in range(len(merges) + 1)]
    chosen = sum(similarity >= SAME_SPEAKER for _, _, similarity in merges)
    while count.most is not None and chosen < len(merges) and large[chosen] > count.most:
        chosen += 1
    if large[chosen] < count.least:  # the coarsest cut with enough speakers
        chosen = max((number for number, many in enumerate(large) if many >= count.least), default=chosen)
    return _large(_cut(len(embeddings), merges[:chosen]))


def _merges(embeddings: Vectors) -> list[tuple[int, int, float]]:
    """All merges, the most similar first: two groups, each named by its first window, and their mean similarity."""
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, -np.inf)
    sizes, merges = np.ones(len(embeddings)), []
    for _ in range(len(embeddings) - 1):
        one, other = sorted(divmod(int(np.argmax(similarity)), len(similarity)))
        merges.append((one, other, float(similarity[one, other])))
        weighted = similarity[one] * sizes[one] + similarity[other] * sizes[other]
        sizes[one] += sizes[other]
        similarity[one] = similarity[:, one] = weighted / sizes[one]
        similarity[other] = similarity[:, other] = -np.inf
        similarity[one, one] = -np.inf
    return merges


def _cut(windows: int, merges: Sequence[tuple[int, int, float]]) -> list[list[int]]:
    groups = {number: [number] for number in range(windows)}
    for one, other, _ in merges:
        groups[one] += groups.pop(other)
    return list(groups.values())


def _large(groups: Sequence[list[int]]) -> list[list[int]]:
    """The groups with enough windows, the largest first; if there is none, the largest."""
    windows = sum(map(len, groups))
    smallest = max(min(_SMALLEST_WINDOWS, windows), round(_SMALLEST_SHARE * windows))
    ordered = sorted(groups, key=len, reverse=True)
    return [group for group in ordered if len(group) >= smallest] or ordered[:1]


def _unit(vectors: NDArray[np.float32]) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def _nearest(embeddings: Vectors, centroids: Vectors) -> NDArray[np.intp]:
    nearest: NDArray[np.intp] = np.argmax(embeddings @ centroids.T, axis=1)
    return nearest


def _sum_of(embeddings: Vectors, chosen: NDArray[np.bool_], otherwise: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the chosen windows, (width,); `otherwise` if there are none. chosen: (n_windows,)."""
    return embeddings[chosen].sum(axis=0) if chosen.any() else otherwise


def _steady(embeddings: Vectors, centroids: Vectors) -> NDArray[np.intp]:
    """The most similar sequence of speakers, in which each change costs `_STAY` (Viterbi)."""
    scores = embeddings @ centroids.T
    best, came_from = scores[0].copy(), np.zeros(scores.shape, np.intp)
    for number in range(1, len(scores)):
        changed = int(np.argmax(best))
        stays = best >= best[changed] - _STAY
        came_from[number] = np.where(stays, np.arange(len(best)), changed)
        best = np.where(stays, best, best[changed] - _STAY) + scores[number]
    labels = np.zeros(len(scores), np.intp)
    labels[-1] = int(np.argmax(best))
    for number in range(len(scores) - 1, 0, -1):
        labels[number - 1] = came_from[number][labels[number]]
    return labels
