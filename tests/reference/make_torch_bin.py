#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/importer/torch: what torch.save writes for a tiny model, and its tensors by NumPy.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_torch_bin.py

pytorch_model.bin is a state dictionary as save_pretrained of older transformers saved it, parameters.bin the same as
torch.nn.Parameter. tensors.npz holds float16 arrays, '.' in names written as '/'.
"""
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import checkpoint_files  # noqa: E402  pylint: disable=wrong-import-position
from test_torch_bin import CONFIG  # noqa: E402  pylint: disable=wrong-import-position


class Model(torch.nn.Module):
    """Modules nested as the names say: their state dictionary carries versions as metadata."""

    def put(self, name, tensor):
        head, _, rest = name.partition(".")
        if not rest:
            self.register_parameter(head, torch.nn.Parameter(tensor, requires_grad=False))
            return
        if head not in self._modules:
            self.add_module(head, Model())
        self._modules[head].put(rest, tensor)


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "data" / "importer" / "torch"
    out.mkdir(parents=True, exist_ok=True)
    weights = {n: t.astype(np.float16) for n, t in checkpoint_files.random_weights(CONFIG, seed=11).items()}
    model = Model()
    for name, value in weights.items():
        model.put(name, torch.from_numpy(value))
    state = model.state_dict()
    assert set(state) == set(weights) and state._metadata
    torch.save(state, out / "pytorch_model.bin")
    torch.save(dict(model.named_parameters()), out / "parameters.bin")
    np.savez_compressed(out / "tensors.npz", **{n.replace(".", "/"): t for n, t in weights.items()})


if __name__ == "__main__":
    main()
