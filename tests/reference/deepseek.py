# SPDX-License-Identifier: Apache-2.0
"""DeepSeekMoE (model_type "deepseek", v1) in PyTorch: transformers has no class for it. Plain tensors and loops, written
from the model's description: llama's attention; layers before first_k_dense_replace have a dense FFN; the others send
each token to its num_experts_per_tok experts of largest softmax probability, which is their weight as it is, and add the
shared experts, stored as one wide FFN, without a gate.

It has the few methods of transformers' classes that make_checkpoints.py calls.
"""
import json
import pathlib
import types

import torch
from safetensors.torch import load_file, save_file


class Config(types.SimpleNamespace):
    pass


class Norm(torch.nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = torch.nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return self.weight * (x / (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt())


def linear(inputs, outputs):
    return torch.nn.Linear(inputs, outputs, bias=False)


class Attention(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.dim = c.num_attention_heads, c.num_key_value_heads, c.hidden_size // c.num_attention_heads
        self.theta = c.rope_parameters["rope_theta"]
        self.q_proj = linear(c.hidden_size, self.heads * self.dim)
        self.k_proj = linear(c.hidden_size, self.kv_heads * self.dim)
        self.v_proj = linear(c.hidden_size, self.kv_heads * self.dim)
        self.o_proj = linear(self.heads * self.dim, c.hidden_size)

    def rotate(self, x):
        """x (heads, n, dim): element i and i + dim/2 are a pair."""
        half = self.dim // 2
        angle = torch.outer(torch.arange(x.shape[1], dtype=x.dtype),
                            self.theta ** (-torch.arange(half, dtype=x.dtype) * 2 / self.dim))
        low, high = x[..., :half], x[..., half:]
        return torch.cat([low * angle.cos() - high * angle.sin(), high * angle.cos() + low * angle.sin()], -1)

    def forward(self, x):
        n = len(x)
        split = lambda y, heads: y.view(n, heads, self.dim).transpose(0, 1)
        q, k = self.rotate(split(self.q_proj(x), self.heads)), self.rotate(split(self.k_proj(x), self.kv_heads))
        v = split(self.v_proj(x), self.kv_heads)
        out = []
        for head in range(self.heads):
            kv = head // (self.heads // self.kv_heads)
            score = q[head] @ k[kv].T / self.dim ** 0.5
            score = score.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
            out.append(score.softmax(-1) @ v[kv])
        return self.o_proj(torch.cat(out, -1))


class FeedForward(torch.nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj, self.up_proj = linear(hidden, width), linear(hidden, width)
        self.down_proj = linear(width, hidden)

    def forward(self, x):
        gate = self.gate_proj(x)
        return self.down_proj(gate * torch.sigmoid(gate) * self.up_proj(x))


class Gate(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size))

    def forward(self, x):
        return (x @ self.weight.T,)


class Experts(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        assert not c.norm_topk_prob
        self.top_k = c.num_experts_per_tok
        self.gate = Gate(c)
        self.experts = torch.nn.ModuleList(FeedForward(c.hidden_size, c.moe_intermediate_size)
                                           for _ in range(c.n_routed_experts))
        self.shared_experts = FeedForward(c.hidden_size, c.moe_intermediate_size * c.n_shared_experts)

    def forward(self, x):
        probability = self.gate(x)[0].softmax(-1)
        y = self.shared_experts(x)
        for token, p in enumerate(probability):
            weights, chosen = p.topk(self.top_k)
            for weight, expert in zip(weights, chosen):
                y[token] = y[token] + weight * self.experts[expert](x[token])
        return y


class Layer(torch.nn.Module):
    def __init__(self, c, index):
        super().__init__()
        self.input_layernorm = Norm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c.hidden_size, c.rms_norm_eps)
        sparse = index >= c.first_k_dense_replace and index % c.moe_layer_freq == 0
        self.mlp = Experts(c) if sparse else FeedForward(c.hidden_size, c.intermediate_size)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        config.rms_norm_eps = getattr(config, "rms_norm_eps", 1e-6)
        self.config = config
        self.model = torch.nn.Module()
        self.model.embed_tokens = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.model.layers = torch.nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.model.norm = Norm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = linear(config.hidden_size, config.vocab_size)

    def forward(self, tokens, use_cache):
        x = self.model.embed_tokens(tokens[0])
        for layer in self.model.layers:
            x = layer(x)
        return types.SimpleNamespace(logits=self.lm_head(self.model.norm(x))[None])

    def save_pretrained(self, folder, max_shard_size):
        save_file(self.state_dict(), pathlib.Path(folder) / "model.safetensors", metadata={"format": "pt"})
        config = {k: v for k, v in vars(self.config).items() if not k.startswith("_") and k != "dtype"}
        config |= dict(architectures=["DeepseekForCausalLM"], model_type="deepseek", hidden_act="silu",
                       scoring_func="softmax", attention_bias=False, tie_word_embeddings=False)
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))

    @classmethod
    def from_pretrained(cls, folder, dtype, **_eager):
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        model = cls(Config(**config, rope_parameters=dict(rope_theta=config["rope_theta"])))
        model.load_state_dict(load_file(pathlib.Path(folder) / "model.safetensors"))
        return model.to(dtype)
