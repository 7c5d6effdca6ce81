# SPDX-License-Identifier: Apache-2.0
"""Trains the assistant's model: train.py FOLDER [--steps N]. A stopped run goes on from its last checkpoint in FOLDER/run.

Each of --workers processes has a thread and sentences of its own; their gradients are averaged. The learning rate is
constant until 70 % of the steps and then falls to zero, so a checkpoint from before is as good a start for fewer or more
steps. The sentences, their order and the first weights follow from --seed and the number of workers."""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import time

import tokenizers
import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import decoders, models, pre_tokenizers, trainers

import generate
from model import Batch, Model, config_of, save

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")


def scaffold():
    """The parts of the answers that are always the same, each one token: short answers are quick answers."""
    yield json.dumps(generate.UNKNOWN, separators=(",", ":"))
    yield '{"intent":"several","commands":['
    for intent in sorted({name.split()[0] for name in generate.NAMES}):
        yield f'{{"intent":"{intent}"'
    for rest in ['"value":', '"direction":"up"', '"direction":"down"', '"unit":"percent"', '"unit":"degrees"',
                 '"unit":"seconds"', '"unit":"minutes"', '"unit":"hours"']:
        yield "," + rest
    for key in generate.KEYS[1:]:
        if key not in ("value", "unit"):
            yield from (f',"{key}":"', f'","{key}":"')
    yield from ('","value":', '"}', '"},', '"}]}', '},', '}]}')


def make_tokenizer(vocab, seed, count=40000):
    """Byte-level BPE with Qwen2's split. While it learns, spaces stand alone, so a word has the same tokens in a command,
    behind a space, and in an answer, behind a quotation mark: slots are copied token by token. Then each frequent word
    that hardly ever begins a slot is merged with its space."""
    t = tokenizers.Tokenizer(models.BPE())
    qwen2 = [pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "isolated")] + qwen2)
    source = generate.sentences("train", f"tokenizer {seed}")
    pairs = [next(source) for _ in range(count)]
    carriers = 96
    t.train_from_iterator((p[0] for p in pairs), trainers.BpeTrainer(
        vocab_size=vocab - carriers, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    bpe = json.loads(t.to_str())
    slots = collections.Counter(value.split()[0] for _, meant in pairs for value in re.findall(r':"([^"]+)"', meant))
    said = collections.Counter(word for p in pairs for word in p[0].split())
    known = bpe["model"]["vocab"]
    for word in [w for w, n in said.most_common() if w in known and slots[w] * 50 < n][:carriers]:
        bpe["model"]["merges"].append(["\u0120", word])
        known["\u0120" + word] = len(known)
    t = tokenizers.Tokenizer.from_str(json.dumps(bpe))
    t.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in scaffold()])
    t.pre_tokenizer = pre_tokenizers.Sequence(qwen2)
    t.decoder = decoders.ByteLevel()
    return t


class Examples:
    """Sentences as token ids. Like lengths share a batch; `skip` batches were seen by an earlier run."""

    def __init__(self, tokenizer, split, seed):
        self.source, self.tokenizer = generate.sentences(split, seed), tokenizer
        self.end = tokenizer.token_to_id("<|endoftext|>")

    def take(self, count):
        pairs = [next(self.source) for _ in range(count)]
        spoken = self.tokenizer.encode_batch_fast([p[0] + "\n" for p in pairs])
        meant = self.tokenizer.encode_batch_fast([p[1] for p in pairs])
        return [(s.ids, m.ids + [self.end]) for s, m in zip(spoken, meant)]

    def batches(self, tokens, shuffle):
        rng = random.Random(shuffle)
        while True:
            rows, start, cuts = sorted(self.take(4096), key=lambda r: len(r[0]) + len(r[1])), 0, []
            while start < len(rows):
                total, stop = 0, start
                while stop < len(rows) and total < tokens:
                    total += len(rows[stop][0]) + len(rows[stop][1])
                    stop += 1
                cuts.append(rows[start:stop])
                start = stop
            rng.shuffle(cuts)
            yield from cuts


def prepare(rows):
    """The batch without the last token of each row; which of its packed tokens predict an answer; what they should."""
    batch = Batch([(s + m)[:-1] for s, m in rows])
    wanted, target, at = [], [], 0
    for s, m in rows:
        wanted.extend(range(at + len(s) - 1, at + len(s) + len(m) - 1))
        target.extend(m)
        at += len(s) + len(m) - 1
    return batch, torch.tensor(wanted), torch.tensor(target)


@torch.no_grad()
def exact(model, rows):
    """Share of sentences of which greedy decoding gives exactly the answer: it does when every token, given the right
    ones before it, is the likeliest."""
    good = 0
    for i in range(0, len(rows), 128):
        part = rows[i:i + 128]
        batch, wanted, target = prepare(part)
        right = (model(batch, wanted)[0].argmax(-1) == target).split([len(m) for _, m in part])
        good += sum(bool(r.all()) for r in right)
    return good / len(rows)


def rate(step, steps, peak):
    return peak * min(1, (step + 1) / 200) * min(1, (steps - step) / (0.3 * steps))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--steps", type=int, default=22000)
    p.add_argument("--tokens", type=int, default=1024, help="of a worker's batch")
    p.add_argument("--vocab", type=int, default=1024)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    p.add_argument("--workers", type=int, default=2)
    return p.parse_args()


def load(run, model, optimizer):
    if not (run / "checkpoint.pt").exists():
        return 0
    state = torch.load(run / "checkpoint.pt")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def keep(run, step, model, optimizer):
    torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, run / "new.pt")
    (run / "new.pt").replace(run / "checkpoint.pt")


def average(weights, workers):
    flat = torch.cat([w.grad.flatten() for w in weights])
    dist.all_reduce(flat)
    for w, part in zip(weights, flat.div_(workers).split([w.numel() for w in weights])):
        w.grad.copy_(part.view_as(w))


def work(rank, a):
    """One worker."""
    os.setsid()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    run = a.folder / "run"
    dist.init_process_group("gloo", init_method=f"file://{(run / 'meeting').absolute()}", rank=rank, world_size=a.workers)
    tokenizer = tokenizers.Tokenizer.from_file(str(run / "tokenizer.json"))
    model = Model(config_of(tokenizer))
    weights = list(model.parameters())
    groups = [{"params": [w for w in weights if w.dim() > 1], "weight_decay": 0.05},
              {"params": [w for w in weights if w.dim() == 1], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.98), fused=True)
    step = load(run, model, optimizer)
    batches = Examples(tokenizer, "train", f"{a.seed} {rank}").batches(a.tokens, f"{a.seed} {rank}")
    for _ in range(step):
        next(batches)
    tests = {split: Examples(tokenizer, split, f"watch {a.seed}").take(128) for split in ("train",) + generate.SPLITS}
    if rank == 0:
        print(f"{sum(w.numel() for w in weights)} parameters, from step {step} to {a.steps}", flush=True)
    started, loss_sum, shares, seen, n = time.time(), 0.0, 0, 0, 0
    while step < a.steps:
        batch, wanted, target = prepare(next(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate(step, a.steps, a.lr)
        logits, balance, share = model(batch, wanted)
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad()
        (loss + model.config["router_aux_loss_coef"] * balance).backward()
        average(weights, a.workers)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        step, n, loss_sum, shares, seen = step + 1, n + 1, loss_sum + loss.item(), shares + share, seen + len(batch.ids)
        if rank == 0 and (step % a.every == 0 or step == a.steps):
            fair = shares / n * share.shape[1]
            entry = {"step": step, "loss": round(loss_sum / n, 5), "share_least": round(fair.min().item(), 3),
                     "share_most": round(fair.max().item(), 3), "tokens_per_s": round(a.workers * seen / (time.time() - started)),
                     **{split: round(exact(model, rows), 4) for split, rows in tests.items()}}
            print(json.dumps(entry), flush=True)
            with open(run / "log.jsonl", "a") as log:
                print(json.dumps(entry), file=log)
            keep(run, step, model, optimizer)
            started, loss_sum, shares, seen, n = time.time(), 0.0, 0, 0, 0
    if rank == 0:
        save(model, tokenizer, a.folder)


def main():
    a = arguments()
    run = a.folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    (run / "meeting").unlink(missing_ok=True)
    if not (run / "tokenizer.json").exists():
        make_tokenizer(a.vocab, a.seed).save(str(run / "tokenizer.json"))
    torch.multiprocessing.spawn(work, (a,), a.workers)


if __name__ == "__main__":
    main()
