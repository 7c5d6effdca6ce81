# SPDX-License-Identifier: Apache-2.0
"""The computation of transformers' Qwen2MoeForCausalLM, arranged for training on a CPU: tokens of all sentences packed
without padding, sorted by expert, so that an expert is one matrix product. `save` writes a folder that transformers
reads; evaluate.py compares both."""
import json
import pathlib

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", "hidden_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 64, "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64, "num_experts": 24, "num_experts_per_tok": 2, "norm_topk_prob": True,
    "decoder_sparse_step": 1, "mlp_only_layers": [], "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "max_position_embeddings": 512, "tie_word_embeddings": True, "use_sliding_window": False, "qkv_bias": True,
    "attention_dropout": 0.0, "initializer_range": 0.02, "torch_dtype": "float32", "router_aux_loss_coef": 0.04,
}


def config_of(tokenizer):
    end = tokenizer.token_to_id("<|endoftext|>")
    return CONFIG | {"vocab_size": tokenizer.get_vocab_size(), "eos_token_id": end, "pad_token_id": end}


class Batch:
    """Sentences of different lengths: `place` is where a packed token stands in (sentence, position)."""

    def __init__(self, rows):
        lengths = torch.tensor([len(row) for row in rows])
        self.shape = (len(rows), int(lengths.max()))
        position = torch.arange(self.shape[1])
        inside = position[None] < lengths[:, None]
        self.place = inside.flatten().nonzero().squeeze(1)
        self.position = position.expand(self.shape).flatten()[self.place]
        self.ids = torch.tensor([token for row in rows for token in row])


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        h, i, n = c["hidden_size"], c["moe_intermediate_size"], c["num_experts"]
        s, heads = c["shared_expert_intermediate_size"], c["num_attention_heads"]
        self.heads, self.top_k, self.eps = heads, c["num_experts_per_tok"], c["rms_norm_eps"]
        weight = lambda *shape: nn.Parameter(torch.randn(shape) * c["initializer_range"] * (128 / shape[-1]) ** 0.5 * 2)
        self.norm_attention, self.norm_mlp = nn.Parameter(torch.ones(h)), nn.Parameter(torch.ones(h))
        self.qkv, self.qkv_bias, self.o = weight(3 * h, h), nn.Parameter(torch.zeros(3 * h)), weight(h, h)
        self.router, self.shared_gate = weight(n, h), weight(1, h)
        self.gate_up, self.down = weight(n, 2 * i, h), weight(n, h, i)
        self.shared_gate_up, self.shared_down = weight(2 * s, h), weight(h, s)

    def attention(self, x, batch, rotary):
        rows, length = batch.shape
        packed = F.linear(F.rms_norm(x, x.shape[-1:], self.norm_attention, self.eps), self.qkv, self.qkv_bias)
        padded = packed.new_zeros(rows * length, packed.shape[1]).index_copy(0, batch.place, packed)
        q, k, v = padded.view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        cos, sin = rotary
        turn = lambda t: t * cos + torch.cat((-t[..., t.shape[-1] // 2:], t[..., :t.shape[-1] // 2]), -1) * sin
        out = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
        return F.linear(out.transpose(1, 2).reshape(rows * length, -1)[batch.place], self.o)

    def experts(self, x):
        x = F.rms_norm(x, x.shape[-1:], self.norm_mlp, self.eps)
        p = F.linear(x, self.router).softmax(-1)
        weights, chosen = p.topk(self.top_k)
        weights = weights / weights.sum(-1, keepdim=True)
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=p.shape[1])
        token = order // self.top_k
        parts = []
        for part, gate_up, down in zip(x[token].split(counts.tolist()), self.gate_up.unbind(), self.down.unbind()):
            gate, up = F.linear(part, gate_up).chunk(2, -1)
            parts.append(F.linear(F.silu(gate) * up, down))
        routed = torch.zeros_like(x).index_add(0, token, torch.cat(parts) * weights.flatten()[order, None])
        gate, up = F.linear(x, self.shared_gate_up).chunk(2, -1)
        shared = F.linear(F.silu(gate) * up, self.shared_down)
        share = counts / counts.sum()
        balance = p.shape[1] * (share.detach() * p.mean(0)).sum()
        return routed + shared * F.linear(x, self.shared_gate).sigmoid(), balance, share

    def forward(self, x, batch, rotary):
        x = x + self.attention(x, batch, rotary)
        more, balance, share = self.experts(x)
        return x + more, balance, share


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        self.embed = nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.05)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(c["hidden_size"]))
        d = c["hidden_size"] // c["num_attention_heads"]
        self.inv_freq = 1.0 / c["rope_theta"] ** (torch.arange(0, d, 2) / d)

    def forward(self, batch, wanted):
        """Logits of the packed tokens `wanted`, the load-balancing loss, and the share of each expert by layer."""
        angle = torch.arange(batch.shape[1])[:, None] * self.inv_freq.repeat(2)
        rotary = angle.cos(), angle.sin()
        x, balance, shares = self.embed[batch.ids], 0, []
        for layer in self.layers:
            x, more, share = layer(x, batch, rotary)
            balance = balance + more / len(self.layers)
            shares.append(share)
        x = F.rms_norm(x[wanted], x.shape[-1:], self.norm, self.config["rms_norm_eps"])
        return F.linear(x, self.embed), balance, torch.stack(shares)


def tensors(model):
    """The parameters under the names of a Qwen2MoE checkpoint."""
    out = {"model.embed_tokens.weight": model.embed, "model.norm.weight": model.norm}
    for n, layer in enumerate(model.layers):
        a, m = f"model.layers.{n}.self_attn.", f"model.layers.{n}.mlp."
        out[f"model.layers.{n}.input_layernorm.weight"] = layer.norm_attention
        out[f"model.layers.{n}.post_attention_layernorm.weight"] = layer.norm_mlp
        for name, weight, bias in zip("qkv", layer.qkv.chunk(3), layer.qkv_bias.chunk(3)):
            out[f"{a}{name}_proj.weight"], out[f"{a}{name}_proj.bias"] = weight, bias
        out[a + "o_proj.weight"] = layer.o
        out[m + "gate.weight"], out[m + "shared_expert_gate.weight"] = layer.router, layer.shared_gate
        both = [(f"experts.{e}.", layer.gate_up[e], layer.down[e]) for e in range(len(layer.gate_up))]
        for name, gate_up, down in both + [("shared_expert.", layer.shared_gate_up, layer.shared_down)]:
            out[m + name + "gate_proj.weight"], out[m + name + "up_proj.weight"] = gate_up.chunk(2)
            out[m + name + "down_proj.weight"] = down
    return {name: t.detach().clone().contiguous() for name, t in out.items()}


def save(model, tokenizer, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors(model), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config, indent=1))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": model.config["eos_token_id"]}))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}))
