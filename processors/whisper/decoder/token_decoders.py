"""The token decoders of `whisper.decoding` for batches of windows: greedy, sampling and beam search.

A decoder has `group` rows for each window, next to each other. `update` chooses each row's next token, and the rows
that continue.
"""

from typing import Protocol

import torch
from torch import Tensor

Candidate = tuple[list[int], float]  # tokens without the end, and the sum of their log-probabilities
Update = tuple[Tensor, Tensor | None, Tensor | None]  # see `TokenDecoder.update`


class TokenDecoder(Protocol):
    group: int  # rows for each window

    def update(self, logits: Tensor, is_last: list[bool]) -> Update:
        """`logits` (rows, vocabulary); `is_last`, by window: no token may follow this one.

        Return the tokens of the rows that continue; the rows they continue from, or None: all, in their order; and the
        windows that continue, or None: all.
        """

    def finalize(self, window: int) -> list[Candidate]:
        """The candidates of a window that has ended; never empty."""


class GreedyDecoder:
    """`group` independent rows for each window; at temperature 0 each takes the most probable token."""

    def __init__(self, windows: int, end: int, group: int, temperature: float, seed: int):
        self.group = group
        self._end, self._temperature = end, temperature
        self._live = list(range(windows))
        self._random = [torch.Generator().manual_seed(seed + round(1000 * temperature)) for _ in range(windows)]
        self._tokens: list[list[int]] = [[] for _ in range(windows * group)]
        self._sums = [0.0] * (windows * group)

    def update(self, logits: Tensor, is_last: list[bool]) -> Update:
        chosen = self._choose(logits)
        tokens, gains = chosen.tolist(), log_probabilities(logits, chosen).tolist()
        going: list[int] = []  # rows
        windows: list[int] = []
        for place, window in enumerate(self._live):
            ended = 0
            for row in range(place * self.group, (place + 1) * self.group):
                own = self._tokens[window * self.group + row % self.group]
                if own and own[-1] == self._end:
                    tokens[row] = self._end
                    ended += 1
                    continue
                self._sums[window * self.group + row % self.group] += gains[row]
                own.append(tokens[row])
                ended += tokens[row] == self._end
            if ended < self.group and not is_last[place]:
                windows.append(place)
                going += range(place * self.group, (place + 1) * self.group)
        device = logits.device
        if len(windows) == len(self._live):
            return torch.tensor(tokens, device=device), None, None
        self._live = [self._live[place] for place in windows]
        rows = torch.tensor(going, dtype=torch.long, device=device)
        return torch.tensor(tokens, device=device)[rows], rows, torch.tensor(windows, dtype=torch.long, device=device)

    def finalize(self, window: int) -> list[Candidate]:
        rows = range(window * self.group, (window + 1) * self.group)
        return [([token for token in self._tokens[row] if token != self._end], self._sums[row]) for row in rows]

    def _choose(self, logits: Tensor) -> Tensor:
        if self._temperature == 0:
            return logits.argmax(-1)
        # NaN is never sampled; the row's sum stays NaN, which reveals it
        likely = (logits / self._temperature).softmax(-1).cpu().nan_to_num(nan=1.0)
        groups = likely.split(self.group)
        drawn = [
            torch.multinomial(group, 1, generator=self._random[window])
            for window, group in zip(self._live, groups, strict=True)
        ]
        return torch.cat(drawn)[:, 0].to(logits.device)


def log_probabilities(logits: Tensor, chosen: Tensor) -> Tensor:
    """The log-probability of each row's token."""
    return logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(-1)


class BeamSearchDecoder:
    """The `group` most probable prefixes of each window, until that many times `patience` have ended."""

    def __init__(self, windows: int, end: int, group: int, patience: float):
        self.group = group
        self._end, self._wanted = end, round(group * patience)
        self._live = list(range(windows))
        self._ended: list[list[Candidate]] = [[] for _ in range(windows)]
        self._tokens: list[list[int]] = [[] for _ in range(windows * group)]  # of the live rows
        self._sums = torch.zeros(windows * group)

    def update(self, logits: Tensor, is_last: list[bool]) -> Update:
        gains, best = logits.log_softmax(-1).topk(self.group + 1, -1)
        sums, tokens = (self._sums[:, None].to(gains.device) + gains).tolist(), best.tolist()
        windows, rows, chosen, totals = [], [], [], []
        for place, window in enumerate(self._live):
            going = self._extend(place, window, sums, tokens)
            ended = self._ended[window]
            if len(ended) >= self._wanted or is_last[place]:
                missing = max(0, self.group - len(ended))
                ended += [([*self._tokens[row], token], total) for row, token, total in going[:missing]]
                continue
            windows.append(place)
            rows += [row for row, _, _ in going]
            chosen += [token for _, token, _ in going]
            totals += [total for _, _, total in going]
        all_continue = len(windows) == len(self._live)
        self._live = [self._live[place] for place in windows]
        self._tokens = [[*self._tokens[row], token] for row, token in zip(rows, chosen, strict=True)]
        self._sums = torch.tensor(totals)
        is_unchanged = all_continue and rows == list(range(len(rows)))
        return (
            torch.tensor(chosen, dtype=torch.long, device=logits.device),
            None if is_unchanged else torch.tensor(rows, dtype=torch.long, device=logits.device),
            None if all_continue else torch.tensor(windows, dtype=torch.long, device=logits.device),
        )

    def finalize(self, window: int) -> list[Candidate]:
        return self._ended[window]

    def _extend(
        self, place: int, window: int, sums: list[list[float]], tokens: list[list[int]]
    ) -> list[tuple[int, int, float]]:
        """The best rows to continue with, (row, token, sum); those that end among them become candidates.

        sums, tokens: (rows, group + 1), the best first.
        """
        first = place * self.group
        # At the first step all rows of a window have the same prefix.
        from_rows = range(first, first + (self.group if self._tokens[first] else 1))
        scored = [(row, token, total) for row in from_rows for token, total in zip(tokens[row], sums[row], strict=True)]
        going, ending = [], []
        for row, token, total in sorted(scored, key=lambda each: each[2], reverse=True):
            if token == self._end:
                ending.append((self._tokens[row], total))
                continue
            going.append((row, token, total))
            if len(going) == self.group:
                break
        self._ended[window] += ending[: max(0, self._wanted - len(self._ended[window]))]
        return going
