#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tiny checkpoints under tests/data/reference and their golden logits.

    pip install -r tests/reference/requirements.txt
    MOE_PLUS_PLUS=FOLDER python tests/reference/make_checkpoints.py [--out FOLDER] [CASE …]

Each case is a folder as the Hugging Face hub has them (config.json, safetensors, generation_config.json) with random
weights, written by transformers' own classes (MoE++: by its authors', moepp.py; DeepSeek: deepseek.py), and beside it for
n = 7, 33 and 150

    tokens-<n>.txt    decimal token ids
    logits-<n>.npy    float32 (n, vocabulary), from transformers in fp32 with eager attention, on the stored (rounded)
                      weights: what an exact engine gives up to its own rounding

    experts-33.txt    of qwen2_moe: a line for each sparse layer, its number and the experts of each token, ascending

150 tokens go past two KV blocks of 64. Models are causal: the first rows are the logits of shorter prompts. The script checks what would make a golden useless: flat logits, a near tie in
a router (where another correct engine may choose another expert), a case that does not hit what it is there for.
"""
import argparse
import json
import math
import pathlib
import shutil

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import save_file

import deepseek
import moepp

LENGTHS = (7, 33, 150)
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

# stored: dtype in the file. shards: number of safetensors files. hub_style: config.json keys of the published
# checkpoints (rope_theta, torch_dtype) instead of those this transformers writes. dead: experts that get no token.
# twins: two experts that are the same and tie in the router, so that it does not matter which one an engine takes.
CASES = {
    # fp32, no renormalisation, untied, GQA 3:1; shared width = 2 experts.
    "moe-f32": dict(
        stored="f32", hub_style=True, model="qwen2_moe", vocab_size=101, hidden_size=48, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, intermediate_size=64, num_experts=5, num_experts_per_tok=2,
        moe_intermediate_size=24, shared_expert_intermediate_size=48, norm_topk_prob=False, rope_theta=1e6),
    # head_dim 48, tied, renormalised, shared width no multiple of the expert width.
    "moe-norm-tied": dict(
        stored="bf16", hub_style=True, model="qwen2_moe", vocab_size=131, hidden_size=96, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, intermediate_size=64, num_experts=6, num_experts_per_tok=3,
        moe_intermediate_size=32, shared_expert_intermediate_size=56, norm_topk_prob=True, tie_word_embeddings=True,
        rope_theta=1e6),
    # Dense layers 0 and 2 around a sparse one through decoder_sparse_step; fp16 file; carries a tokenizer.
    "moe-sparse-step": dict(
        stored="f16", hub_style=True, model="qwen2_moe", tokenizer=True, vocab_size=265, hidden_size=80,
        num_hidden_layers=3, num_attention_heads=5, num_key_value_heads=1, intermediate_size=112, num_experts=7,
        num_experts_per_tok=2, moe_intermediate_size=24, shared_expert_intermediate_size=72, norm_topk_prob=False,
        decoder_sparse_step=2, rope_theta=1e6),
    # Layer 1 dense through mlp_only_layers; three files with an index; two experts that never get a token.
    "moe-dead-sharded": dict(
        stored="bf16", hub_style=True, model="qwen2_moe", shards=3, dead=(0, 7), vocab_size=61, hidden_size=144,
        num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, intermediate_size=48, num_experts=8,
        num_experts_per_tok=3, moe_intermediate_size=16, shared_expert_intermediate_size=32, norm_topk_prob=True,
        mlp_only_layers=[1], rope_theta=1e4),
    # Dense qwen2: bias on q, k, v; tied; a down projection longer than one sum segment of 256.
    "qwen2": dict(
        stored="bf16", hub_style=True, model="qwen2", vocab_size=103, hidden_size=80,
        num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=5, intermediate_size=272,
        tie_word_embeddings=True, rope_theta=1e6),
    # llama: no bias, theta 1e5, tied, an explicit head_dim with nh*d != H, H longer than one sum segment;
    # config.json as this transformers writes it (rope_parameters, dtype).
    "llama": dict(
        stored="bf16", hub_style=False, model="llama", vocab_size=101, hidden_size=272, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=48, tie_word_embeddings=True,
        rope_theta=1e5, rms_norm_eps=1e-5),
    # mistral: llama's tensors; untied, a window that no length reaches.
    "mistral": dict(
        stored="bf16", hub_style=True, model="mistral", vocab_size=79, hidden_size=72, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=2, head_dim=8, intermediate_size=88, tie_word_embeddings=False,
        sliding_window=300, rope_theta=1e4),
    # mixtral: w1, w3, w2; always renormalised, though its files do not say so; theta of the class.
    "mixtral": dict(
        stored="bf16", hub_style=True, model="mixtral", shards=2, vocab_size=83, hidden_size=80, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=1, intermediate_size=40, num_local_experts=5,
        num_experts_per_tok=2, tie_word_embeddings=False, rope_theta=1e6, rms_norm_eps=1e-5),
    # qwen3_moe: q and k normed head by head, an explicit head_dim with nh*d != H, no shared expert, renormalised.
    "qwen3-moe": dict(
        stored="bf16", hub_style=True, model="qwen3_moe", vocab_size=73, hidden_size=56, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, intermediate_size=64, num_experts=6,
        num_experts_per_tok=3, moe_intermediate_size=24, norm_topk_prob=True, tie_word_embeddings=False,
        rope_theta=1e6),
    # olmoe: q and k normed as one vector each, longer than one sum segment for q; experts of intermediate_size.
    "olmoe": dict(
        stored="bf16", hub_style=True, model="olmoe", vocab_size=71, hidden_size=272, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=1, intermediate_size=16, num_experts=6, num_experts_per_tok=2,
        norm_topk_prob=False, tie_word_embeddings=False, rope_theta=1e4, rms_norm_eps=1e-5),
    # deepseek v1: layer 0 dense, then experts with two shared ones in one, added without a gate.
    "deepseek": dict(
        stored="bf16", hub_style=True, model="deepseek", vocab_size=89, hidden_size=80, num_hidden_layers=3,
        num_attention_heads=5, num_key_value_heads=5, intermediate_size=104, moe_intermediate_size=24,
        n_routed_experts=7, n_shared_experts=2, num_experts_per_tok=3, first_k_dense_replace=1, moe_layer_freq=1,
        norm_topk_prob=False, rope_theta=1e4),
    # The routing of A2.7B: 60 experts, top 4, shared width = 4 experts; a tie in the router; head_dim 96 with nh*d != H.
    "moe-60": dict(
        stored="bf16", hub_style=True, model="qwen2_moe", twins=(10, 41), vocab_size=61, hidden_size=40,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=96, intermediate_size=64,
        num_experts=60, num_experts_per_tok=4, moe_intermediate_size=8, shared_expert_intermediate_size=32,
        norm_topk_prob=False, rope_theta=1e6),
    # gemma: GELU, norms of 1 + weight, scaled embeddings, head_dim 256 with nh*d != H, tied without a key that says so.
    "gemma": dict(
        stored="bf16", hub_style=True, model="gemma", vocab_size=67, hidden_size=40, num_hidden_layers=2,
        num_attention_heads=1, num_key_value_heads=1, head_dim=256, intermediate_size=56, rope_theta=1e4),
    # MoE++ as released: 20 experts of which 4 are light, logits standardised and carried; shards of PyTorch.
    "moepp": dict(
        stored="bf16", hub_style=True, model="moe++", shards=2, vocab_size=31, hidden_size=96, num_hidden_layers=2,
        num_attention_heads=1, intermediate_size=4, num_experts=[20], moe_2layer_gate=False, moe_use_logits_norm=True,
        moe_gate_norm_std=1.0, moe_feature_no_mul_topk=True, rope_theta=1e4),
    # The same with its classes' defaults: a router of two layers, experts that read twice their input, no scaling.
    "moepp-default": dict(
        stored="f32", hub_style=True, model="moe++", vocab_size=53, hidden_size=24, num_hidden_layers=3,
        num_attention_heads=2, intermediate_size=8, num_experts=[7], rope_theta=1e4),
    # And with Mixtral's gating, of scaled logits.
    "moepp-mixtral": dict(
        stored="bf16", hub_style=True, model="moe++", vocab_size=57, hidden_size=40, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=12, num_experts=[9], moe_2layer_gate=False, moe_use_logits_norm=True,
        moe_gate_norm_std=0.75, moe_use_mixtral_gating=True, rope_theta=1e4),
}
CLASSES = {
    "qwen2_moe": (transformers.Qwen2MoeConfig, transformers.Qwen2MoeForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "mixtral": (transformers.MixtralConfig, transformers.MixtralForCausalLM),
    "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
    "olmoe": (transformers.OlmoeConfig, transformers.OlmoeForCausalLM),
    "deepseek": (deepseek.Config, deepseek.Model),
    "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
    "moe++": (moepp.Config, moepp.Model),
}
QWEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+")


def random_weights(model, case, rng):
    """Fills every parameter: matrices with a gain around 1 per layer, biases and norm weights that matter."""
    dtype = DTYPES[case["stored"]]
    hidden = case["hidden_size"]
    direction = rng.standard_normal(hidden)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            shape = tuple(parameter.shape)
            noise = rng.standard_normal(shape)
            if name.endswith("norm.weight"):
                value = (0 if case["model"] == "gemma" else 1) + 0.25 * noise
            elif name.endswith(".constant"):
                value = noise
            elif name.endswith("bias"):
                value = 0.3 * noise
            elif name.endswith("embed_tokens.weight"):
                value = 0.2 * noise
                if case.get("dead"):
                    value = 3 * value + 0.6 * direction  # a part that all tokens share, for the router to see
            else:
                value = 1.2 / math.sqrt(shape[-1]) * noise
                if name.endswith("mlp.gate.weight"):
                    value *= 1.5
                    for twin in case.get("twins", ())[1:]:
                        value[twin] = value[case["twins"][0]]
                    for dead in case.get("dead", ()):
                        value[dead] -= 3 / math.sqrt(hidden) * direction
                elif name.endswith("lm_head.weight"):
                    value *= 1.5
            value = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
            parameter.copy_(value.to(dtype).to(torch.float32))
        for name, parameter in model.named_parameters():
            if name.endswith((".experts.gate_up_proj", ".experts.down_proj")):
                for twin in case.get("twins", ())[1:]:
                    parameter[twin] = parameter[case["twins"][0]]


def write_tokenizer(folder, vocab_size):
    """A byte-level BPE of Qwen's kind: 256 bytes, a few merges, three control tokens at the end."""
    alphabet = [c for c in range(256) if 0x21 <= c <= 0x7E or 0xA1 <= c <= 0xAC or 0xAE <= c]
    rest = [c for c in range(256) if c not in alphabet]
    tokens = [chr(c) for c in alphabet] + [chr(256 + i) for i in range(len(rest))]
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merges = [("i", "n"), ("Ġ", "t"), ("h", "e"), ("e", "r"), ("Ġt", "he"), ("o", "n")]
    merges = merges[: vocab_size - 256 - len(control)]
    tokens += ["".join(m) for m in merges]
    added = [dict(id=len(tokens) + i, content=c, single_word=False, lstrip=False, rstrip=False, normalized=False,
                  special=True) for i, c in enumerate(control)]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)
    split = dict(type="Split", pattern={"Regex": QWEN_SPLIT}, behavior="Isolated", invert=False)
    tokenizer = dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer={"type": "NFC"},
        pre_tokenizer=dict(type="Sequence", pretokenizers=[split, byte_level]), post_processor=byte_level,
        decoder=byte_level,
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="", end_of_word_suffix="",
                   fuse_unk=False, byte_fallback=False, ignore_merges=False,
                   vocab={t: i for i, t in enumerate(tokens)}, merges=[list(m) for m in merges]))
    template = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
                "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
                "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
    settings = dict(add_prefix_space=False, bos_token=None, chat_template=template, eos_token="<|im_end|>",
                    errors="replace", model_max_length=512, pad_token="<|endoftext|>", tokenizer_class="Qwen2Tokenizer",
                    added_tokens_decoder={str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in added})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=0) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def as_published(folder, case):
    """config.json with the keys of the published files, and the weights split into shards where the case asks."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if case["hub_style"]:
        for key in ("layer_types", "rope_parameters", "dtype", "sliding_window", "pad_token_id", "head_dim"):
            config.pop(key, None)
        config |= dict(rope_theta=case["rope_theta"], torch_dtype=str(DTYPES[case["stored"]]).removeprefix("torch."))
        config |= {key: case[key] for key in ("head_dim", "sliding_window") if key in case}
        if "num_experts" in case:  # which this transformers may call num_local_experts
            config.pop("num_local_experts", None)
            config["num_experts"] = case["num_experts"]
        if case["model"].startswith("qwen2"):
            config |= dict(sliding_window=4096, max_window_layers=2)
        if case["model"] == "gemma":  # as the first of its files
            config.pop("tie_word_embeddings", None)
            config |= dict(hidden_act="gelu")
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def check_names(folder, case):
    """The files must hold the hub's tensor names (one tensor per expert), in the stored type."""
    names = {}
    for file in folder.glob("*.safetensors"):
        header = file.read_bytes()
        header = json.loads(header[8:8 + int.from_bytes(header[:8], "little")])
        header.pop("__metadata__", None)
        names |= header
    if case["model"] == "moe++":
        assert not names
        return
    want = {"f32": "F32", "bf16": "BF16", "f16": "F16"}[case["stored"]]
    assert all(t["dtype"] == want for t in names.values())
    assert not any("gate_up_proj" in n or n.endswith("experts.down_proj") for n in names), "fused expert names"
    assert ("lm_head.weight" in names) != bool(case.get("tie_word_embeddings", case["model"] == "gemma")), "tying"
    routers = sum(n.endswith((".mlp.gate.weight", ".block_sparse_moe.gate.weight")) for n in names)
    first = ".block_sparse_moe.experts.0.w3.weight" if case["model"] == "mixtral" else ".experts.0.up_proj.weight"
    assert sum(n.endswith(first) for n in names) == routers
    assert (routers > 0) == ("num_experts_per_tok" in case), "no routers"


def run(model, tokens, routes=None):
    """Logits (n, vocabulary) in fp32; routes collects (layer, router logits) where it is given."""
    hooks = []
    if routes is not None:
        for index, layer in enumerate(model.model.layers):
            plus = hasattr(layer.mlp, "moe")
            gate = layer.mlp.moe.gate if plus else getattr(layer.mlp, "gate", None)
            if gate is not None:
                hooks.append(gate.register_forward_hook(
                    lambda _m, _i, out, index=index, at=int(plus): routes.append((index, out[at].detach().numpy()))))
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0].to(torch.float32).numpy()
    for hook in hooks:
        hook.remove()
    return logits


def write_experts(path, routes, top):
    """(layer, router logits) of one run as lines of chosen experts."""
    lines = ([layer, *np.sort(np.argsort(-scores, axis=-1, kind="stable")[:, :top]).ravel()] for layer, scores in routes)
    path.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))


def experts_of(case):
    count = next(case[key] for key in ("num_experts", "num_local_experts", "n_routed_experts") if key in case)
    return count[0] if isinstance(count, list) else count


def check_routes(case, routes):
    """The dead experts get no token in the first sparse layer, all others get some; no choice hangs on a near tie."""
    top, used, twins = case.get("num_experts_per_tok", 2), {}, case.get("twins")
    ties = 0
    for layer, scores in routes:
        order = np.argsort(-scores, axis=-1, kind="stable")
        ranked = np.take_along_axis(scores, order, axis=-1)
        margins = ranked[:, top - 1] - ranked[:, top]
        if twins:
            tied = [sorted(row) == sorted(twins) for row in order[:, top - 1:top + 1].tolist()]
            assert (margins[tied] == 0).all()
            ties, margins = ties + sum(tied), margins[~np.array(tied)]
        margin = margins.min()
        assert margin > 2e-4, f"layer {layer}: two experts are {margin:.1e} apart; take another seed"
        used.setdefault(layer, set()).update(order[:, :top].ravel().tolist())
    dead = set(case.get("dead", ()))
    first = used.pop(min(used))
    assert not first & dead and len(first) > top, first
    assert not twins or ties, "the tie decides nothing"
    if case["model"] == "moe++":
        assert all(set(range(experts_of(case) - 4, experts_of(case))) < experts for experts in [first, *used.values()]), used
        return
    assert all(len(experts) > top if dead else len(experts) == experts_of(case) for experts in used.values()), used


def make(name, case, out, seed):
    case = dict(case)
    config_class, model_class = CLASSES[case["model"]]
    skip = ("stored", "hub_style", "model", "shards", "dead", "twins", "tokenizer", "rope_theta")
    keys = {k: v for k, v in case.items() if k not in skip}
    end = case["vocab_size"] - 1
    config = config_class(**keys, rope_parameters=dict(rope_type="default", rope_theta=case["rope_theta"]),
                          max_position_embeddings=512, bos_token_id=end - 1, eos_token_id=end)
    config._attn_implementation = config._experts_implementation = "eager"
    model = model_class(config).to(torch.float32).eval()
    rng = np.random.RandomState(seed)  # RandomState: a stream that NumPy has promised never to change
    random_weights(model, case, rng)
    tokens = {n: rng.randint(0, case["vocab_size"], n).tolist() for n in LENGTHS}
    direct = {n: run(model, tokens[n]) for n in LENGTHS}

    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.config.dtype = DTYPES[case["stored"]]
    shard_size = "5GB"
    if case.get("shards"):
        stored_bytes = sum(p.numel() for p in model.parameters()) * DTYPES[case["stored"]].itemsize
        shard_size = int(stored_bytes / case["shards"] * 1.1)
    model.to(DTYPES[case["stored"]]).save_pretrained(folder, max_shard_size=shard_size)
    as_published(folder, case)
    if case.get("tokenizer"):
        write_tokenizer(folder, case["vocab_size"])
    check_names(folder, case)
    assert len([*folder.glob("*.safetensors"), *folder.glob("*.bin")]) == case.get("shards", 1)

    eager = dict(dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    again = model_class.from_pretrained(folder, **eager).eval()
    double = again  # the authors' MoE++ does not run in fp64
    if case["model"] != "moe++":
        double = model_class.from_pretrained(folder, **eager).double().eval()
    routes = []
    for n in LENGTHS:
        before = len(routes)
        logits = run(again, tokens[n], routes)
        if n == 33 and case["model"] == "qwen2_moe":
            write_experts(folder / "experts-33.txt", routes[before:], case["num_experts_per_tok"])
        # Not equality: a BLAS may add in another order when a tensor lies at another address.
        assert np.abs(logits - direct[n]).max() < 1e-5 * np.abs(logits).max(), "the saved folder gives other logits"
        assert 0.5 < logits.std(axis=1).min() and logits.std(axis=1).max() < 8, (logits.std(axis=1).min(), logits.std(axis=1).max())
        noise = np.abs(run(double, tokens[n]) - logits).max() / np.abs(logits).max()
        assert noise < 2e-5, noise
        (folder / f"tokens-{n}.txt").write_text(" ".join(map(str, tokens[n])) + "\n")
        np.save(folder / f"logits-{n}.npy", logits.astype("<f4"))
        print(f"{name}: n={n} std {logits.std():.2f} max {np.abs(logits).max():.2f}, fp32 against fp64 {noise:.1e}")
    if routes:
        check_routes(case, routes)
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1000:.0f} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "data" / "reference")
    parser.add_argument("cases", nargs="*", help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for index, (name, case) in enumerate(CASES.items()):
        if not arguments.cases or name in arguments.cases:
            make(name, case, arguments.out, seed=index + 1)


if __name__ == "__main__":
    main()
