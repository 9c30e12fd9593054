"""The cache for drafted passes takes what any version of transformers hands to a cache."""

from __future__ import annotations

import torch

from got_models.mllm.speculative_decoding import BLOCK, ROWS, _PaddedCache


def test_an_update_takes_what_versions_of_transformers_add_to_it() -> None:
    """5.24 hands one keyword more; older ones a dictionary."""
    cache = _PaddedCache([(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2))])
    cache.fit(3)
    cache.places = torch.arange(3, 3 + ROWS)
    rows = torch.ones(1, 1, ROWS, 2)
    cache.update(rows, rows, 0, {"cache_position": None})
    keys, values = cache.update(rows, 2 * rows, 0, cache_kwargs=None, sliding_window=8)
    assert keys.shape == (1, 1, BLOCK, 2)
    assert keys[0, 0, :, 0].tolist() == [0.0] * 3 + [1.0] * ROWS + [0.0] * (BLOCK - 3 - ROWS)
    assert torch.equal(values, 2 * keys)
