# SPDX-License-Identifier: Apache-2.0
"""How good is the model? evaluate.py FOLDER [--assistant BINARY] [--each N]

Generates held-out commands (distinct, none of them among the training sentences, which are generated again to see), lets
transformers' own class answer them from the fp32 checkpoint in FOLDER, and the assistant's binary from its bundle.
Greedy decoding, whole answers compared. Also: is model.py the same function as transformers' class, and how evenly are the
experts used on the held-out tokens."""
import argparse
import json
import pathlib
import subprocess
import sys

import tokenizers
import torch
import transformers

import generate
from model import Batch, Model, config_of


def held_out(each, seed, trained):
    """split -> [(command, answer)]"""
    tests, known = {}, set()
    for split in generate.SPLITS + (generate.STRANGERS,):
        source, chosen = generate.sentences(split, f"test {seed}"), {}
        while len(chosen) < each:
            command, answer = next(source)
            if command and command not in known:
                chosen[command] = answer
        known.update(chosen)
        tests[split] = chosen
    seen = set()
    for rank in range(2):
        source = generate.sentences("train", f"{seed} {rank}")
        seen.update(command for command, _ in (next(source) for _ in range(trained // 2)) if command in known)
    print(f"{len(known)} held-out commands; {len(seen)} of them stood among {trained} training sentences and are left out")
    return {split: [(c, a) for c, a in chosen.items() if c not in seen] for split, chosen in tests.items()}


@torch.no_grad()
def by_transformers(model, tokenizer, commands):
    end, answers = tokenizer.token_to_id("<|endoftext|>"), []
    rows = [tokenizer.encode(c + "\n").ids for c in commands]
    for at in range(0, len(rows), 100):
        part = rows[at:at + 100]
        longest = max(map(len, part))
        ids = torch.tensor([[end] * (longest - len(r)) + r for r in part])
        mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in part])
        out = model.generate(ids, attention_mask=mask, max_new_tokens=160, do_sample=False, pad_token_id=end)
        answers += [tokenizer.decode(o[longest:].tolist(), skip_special_tokens=False).split("<|endoftext|>")[0] for o in out]
    return answers


def by_assistant(binary, commands):
    done = subprocess.run([binary], input="".join(c + "\n" for c in commands), capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(commands), done.stderr
    return answers


def is_json(answer):
    try:
        return isinstance(json.loads(answer), dict) and "error" not in json.loads(answer)
    except ValueError:
        return False


def report(name, tests, answers, misses):
    """One line per split; exact answers of all."""
    good = valid = total = 0
    for split, pairs in tests.items():
        given = answers[split]
        exact = sum(g == a for g, (_, a) in zip(given, pairs))
        print(f"{name:12} {split:13} {exact / len(pairs):8.2%} exact of {len(pairs)}")
        if split in generate.SPLITS:
            good, valid, total = good + exact, valid + sum(map(is_json, given)), total + len(pairs)
        for g, (c, a) in list((g, p) for g, p in zip(given, pairs) if g != p[1])[:misses]:
            print(f"    {c}\n        {g}\n        {a}")
    unknown = [g == json.dumps(generate.UNKNOWN, separators=(",", ":")) for g in answers["other"]]
    wrong = sum('"intent":"unknown"' in g and "unknown" not in a for s, p in tests.items() for g, (_, a) in zip(answers[s], p))
    print(f"{name:12} {'all':13} {good / total:8.2%} exact of {total}, {valid / total:.3%} valid JSON, "
          f"{sum(unknown) / len(unknown):.2%} of what is no command found, {wrong} commands taken for none")
    return good / total


@torch.no_grad()
def same_function(folder, theirs, tokenizer, commands):
    """Largest difference of a logit between model.py and transformers."""
    ours = Model(config_of(tokenizer))
    state = torch.load(folder / "run" / "checkpoint.pt")
    ours.load_state_dict(state["model"])
    worst = 0
    for c in commands:
        ids = tokenizer.encode(c + "\n").ids
        logits = ours(Batch([ids]), torch.arange(len(ids)))[0]
        worst = max(worst, (logits - theirs(torch.tensor([ids])).logits[0]).abs().max().item())
    return worst


@torch.no_grad()
def balance(model, tokenizer, pairs):
    """(layers, experts) share of an even one, over commands and answers."""
    counts = 0
    for command, answer in pairs:
        ids = torch.tensor([tokenizer.encode(command + "\n").ids + tokenizer.encode(answer).ids])
        routers = model(ids, output_router_logits=True).router_logits
        chosen = torch.stack([r.topk(model.config.num_experts_per_tok).indices.flatten() for r in routers])
        counts = counts + torch.nn.functional.one_hot(chosen, model.config.num_experts).sum(1)
    return counts / counts.sum(-1, keepdim=True) * model.config.num_experts


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--assistant", help="also measure this binary")
    p.add_argument("--each", type=int, default=1500, help="commands of each split")
    p.add_argument("--seed", type=int, default=1, help="that of the training")
    p.add_argument("--trained", type=int, default=1500000, help="training sentences to compare with")
    p.add_argument("--misses", type=int, default=0, help="show so many wrong answers of each split")
    a = p.parse_args()
    torch.set_num_threads(2)
    tests = held_out(a.each, a.seed, a.trained)
    tokenizer = tokenizers.Tokenizer.from_file(str(a.folder / "tokenizer.json"))
    model = transformers.Qwen2MoeForCausalLM.from_pretrained(a.folder, dtype=torch.float32).eval()
    some = [pair for pairs in tests.values() for pair in pairs[:200]]
    if (a.folder / "run" / "checkpoint.pt").exists():
        print(f"model.py and transformers differ by at most {same_function(a.folder, model, tokenizer, [c for c, _ in some[:50]]):.2g} in a logit")
    share = balance(model, tokenizer, some)
    print(f"experts: the least used has {share.min():.2f}, the most used {share.max():.2f} of an even share, layer by layer "
          + ", ".join(f"{l.min():.2f}-{l.max():.2f}" for l in share))
    commands = {split: [c for c, _ in pairs] for split, pairs in tests.items()}
    fp32 = report("fp32", tests, {s: by_transformers(model, tokenizer, c) for s, c in commands.items()}, a.misses)
    if a.assistant:
        bundle = report("bundle", tests, {s: by_assistant(a.assistant, c) for s, c in commands.items()}, a.misses)
        print(f"the bundle loses {100 * (fp32 - bundle):.2f} points")
    return 0


if __name__ == "__main__":
    sys.exit(main())
