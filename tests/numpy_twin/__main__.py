# SPDX-License-Identifier: Apache-2.0
"""python -m numpy_twin BUNDLE --tokens FILE -o OUT.npy: what `moxie logits` does, by the twin."""
import argparse
import hashlib
import pathlib

import numpy as np

from . import bundle, forward


def main():
    parser = argparse.ArgumentParser(prog="numpy_twin", description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--tokens", required=True, type=pathlib.Path, help="decimal ids")
    parser.add_argument("-o", dest="out", help="float32 logits, one row per token")
    arguments = parser.parse_args()
    tokens = [int(t) for t in arguments.tokens.read_text().replace(",", " ").split()]
    logits = forward.logits(bundle.Bundle(arguments.bundle).model(), tokens)
    if arguments.out:
        np.save(arguments.out, logits)
    print(hashlib.sha256(logits.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
