# SPDX-License-Identifier: Apache-2.0
"""MoE++ by its authors' own modelling code, which is not part of this project: MOE_PLUS_PLUS names the folder that holds
modeling_moe_plus_plus.py (public repository SkyworkAI/MoE-plus-plus). Here are only the few methods of transformers'
classes that make_checkpoints.py calls, with the file layout that was published: pytorch_model.bin, in shards with an
index or in one piece.
"""
import importlib
import json
import os
import pathlib
import sys
import types

import torch


def authors(module):
    folder = os.environ.get("MOE_PLUS_PLUS")
    if not folder:
        sys.exit("MOE_PLUS_PLUS: not set; the folder with modeling_moe_plus_plus.py")
    package = types.ModuleType("moe_plus_plus")
    package.__path__ = [folder]
    sys.modules.setdefault("moe_plus_plus", package)
    return importlib.import_module(f"moe_plus_plus.{module}")


def Config(rope_parameters, **keys):
    config = authors("configuration_moe_plus_plus").MoeConfig(rope_theta=rope_parameters["rope_theta"], **keys)
    config.rope_parameters = None  # newer transformers make one; the authors' code takes it for scaling
    config.published = keys | {"rope_theta": rope_parameters["rope_theta"]}
    return config


class Model(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.inner = authors("modeling_moe_plus_plus").MoeForCausalLM(config)

    @property
    def model(self):
        return self.inner.model

    def named_parameters(self, **options):
        return self.inner.named_parameters(**options)

    def forward(self, tokens, use_cache):
        return self.inner(tokens, use_cache=use_cache)

    def save_pretrained(self, folder, max_shard_size):
        folder, state = pathlib.Path(folder), dict(self.inner.named_parameters())
        tensors = {name: p.detach().clone() for name, p in state.items()}
        shards = [{}]
        for name, tensor in tensors.items():
            if max_shard_size != "5GB" and sum(t.numel() * t.element_size() for t in shards[-1].values()) > max_shard_size:
                shards.append({})
            shards[-1][name] = tensor
        if len(shards) == 1:
            torch.save(tensors, folder / "pytorch_model.bin")
        else:
            names = [f"pytorch_model-{i + 1:05}-of-{len(shards):05}.bin" for i in range(len(shards))]
            for name, shard in zip(names, shards):
                torch.save(shard, folder / name)
            index = dict(metadata=dict(total_size=sum(t.numel() * t.element_size() for t in tensors.values())),
                         weight_map={tensor: name for name, shard in zip(names, shards) for tensor in shard})
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")
        config = self.config.published | dict(
            architectures=["MoeForCausalLM"], model_type="MoE++", hidden_act="silu", num_key_value_heads=self.config.num_attention_heads,
            rms_norm_eps=1e-6, tie_word_embeddings=False, moe_expert_interval=1, pad_token_id=0, sliding_window=None,
            rotary_percent=1.0, initializer_range=0.01)
        (folder / "config.json").write_text(json.dumps(config))

    @classmethod
    def from_pretrained(cls, folder, dtype, **_eager):
        folder = pathlib.Path(folder)
        config = json.loads((folder / "config.json").read_text())
        theta = config.pop("rope_theta")
        for key in ("architectures", "model_type", "torch_dtype"):
            config.pop(key, None)
        model = cls(Config(rope_parameters=dict(rope_theta=theta), **config))
        state = {}
        for file in sorted(folder.glob("*.bin")):
            state |= torch.load(file, weights_only=True)
        missing = model.inner.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys and not any(k.endswith("weight") for k in missing.missing_keys), missing
        return model.to(dtype)
