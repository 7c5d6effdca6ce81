# SPDX-License-Identifier: Apache-2.0
"""How far one model's logits are from a reference's, in the terms of the field. NumPy only, so that tests can use it.

A summary (top64.npz) holds for each position the reference's 64 most probable tokens, `ids` (n, 64) uint16 in falling
order, `log_p` (n, 64) float32, and `log_rest` (n,) float32, the log of the probability of all other tokens together.
"""
import numpy as np

TOP = 64


def log_softmax(logits):
    """float64 log probabilities of logits (n, vocabulary)."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def summarise(log_p):
    """The summary of reference log probabilities (n, vocabulary), as a dict of arrays."""
    ids = np.argsort(-log_p, axis=-1, kind="stable")[:, :TOP]
    top = np.take_along_axis(log_p, ids, -1)
    rest = np.exp(log_p).sum(-1) - np.exp(top).sum(-1)
    return dict(ids=ids.astype(np.uint16), log_p=top.astype(np.float32),
                log_rest=np.log(np.maximum(rest, 1e-30)).astype(np.float32))


def compare_with_summary(summary, logits):
    """(mean KL lower bound, top-1 agreement) of logits (n, vocabulary) against a summary.

    The bound is the KL divergence of the two distributions over 65 outcomes: the reference's 64 top tokens, and
    "another". Merging outcomes can only lower a divergence (log-sum inequality), so the true mean KL is at least this;
    on SmolLM2 with the noise of int8 activations it is about 83 % of it (make_smollm2_golden.py measures this).
    """
    ids = summary["ids"].astype(np.int64)
    log_q = log_softmax(logits)
    top_q = np.take_along_axis(log_q, ids, -1)
    rest_q = np.log(np.maximum(np.exp(log_q).sum(-1) - np.exp(top_q).sum(-1), 1e-30))
    log_p, log_rest = summary["log_p"].astype(np.float64), summary["log_rest"].astype(np.float64)
    bound = (np.exp(log_p) * (log_p - top_q)).sum(-1) + np.exp(log_rest) * (log_rest - rest_q)
    return bound.mean(), (log_q.argmax(-1) == ids[:, 0]).mean()


def compare(reference, logits, tokens):
    """Exact figures of logits against reference logits, both (n, vocabulary), over the text `tokens` (n)."""
    log_p, log_q = log_softmax(reference), log_softmax(logits)
    following = np.asarray(tokens[1:])
    perplexity = lambda log: float(np.exp(-np.take_along_axis(log[:-1], following[:, None], -1).mean()))
    reference, logits = np.asarray(reference, np.float64), np.asarray(logits, np.float64)
    return dict(
        mean_kl=float((np.exp(log_p) * (log_p - log_q)).sum(-1).mean()),
        top1_agreement=float((log_p.argmax(-1) == log_q.argmax(-1)).mean()),
        perplexity_reference=perplexity(log_p), perplexity=perplexity(log_q),
        nmse=float(((logits - reference) ** 2).sum() / (reference ** 2).sum()),
        max_difference=float(np.abs(logits - reference).max() / np.abs(reference).max()))
