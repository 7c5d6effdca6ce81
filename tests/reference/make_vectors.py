# SPDX-License-Identifier: Apache-2.0
"""Recomputes tools/vector_table.c: the digests that moxie conform expects, by the NumPy twin alone.

    make tool && /usr/bin/python3 tests/reference/make_vectors.py [MODEL...]    (minutes; in the root of the repository)

`moxie conform --export` writes the tiny models and their tokens; no device takes part. With names of models only these are
computed and compared with the table, which stays as it is.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from numpy_twin import bundle, forward  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tools" / "vector_table.c"
PROMPTS = 33, 70, 150


def export(folder):
    moxie = os.environ.get("MOXIE", ROOT / "build" / "moxie")
    subprocess.run([moxie, "conform", "--export", folder], check=True)


def table():
    """{(model, tokens): digest} as committed, in its order."""
    found = re.findall(r'\{"([^"]+)", (\d+),\s*"([0-9a-f]{64})"\}', TABLE.read_text())
    return {(model, int(tokens)): digest for model, tokens, digest in found}


def digests(folder, model):
    """The logits of a prompt are the first rows of a longer one's."""
    tokens = [int(t) for t in (pathlib.Path(folder) / f"{model}.tokens").read_text().split()]
    logits = forward.logits(bundle.Bundle(pathlib.Path(folder) / f"{model}.moxie").model(), tokens)
    assert len(logits) == PROMPTS[-1]
    return {(model, n): hashlib.sha256(logits[:n].astype("<f4").tobytes()).hexdigest() for n in PROMPTS}


def write(entries):
    lines = ['/* SPDX-License-Identifier: Apache-2.0', ' *',
             " * Written by tests/reference/make_vectors.py: the digests of the NumPy twin's logits. */",
             '#include "tools/vectors.h"', '', 'const struct vector_digest vector_table[] = {']
    lines += [f'    {{"{model}", {tokens}, "{digest}"}},' for (model, tokens), digest in entries.items()]
    TABLE.write_text("\n".join(lines + ["    {NULL, 0, NULL},", "};", ""]))


def main(names):
    with tempfile.TemporaryDirectory() as folder:
        export(folder)
        models = names or [p.stem for p in sorted(pathlib.Path(folder).glob("*.moxie"))]
        entries = {}
        with concurrent.futures.ProcessPoolExecutor() as pool:
            for found in pool.map(digests, [folder] * len(models), models):
                entries |= found
                print(*found.items(), sep="\n", flush=True)
    if names:
        wrong = [key for key, digest in entries.items() if table().get(key) != digest]
        sys.exit(f"not what the table has: {wrong}" if wrong else 0)
    write(entries)


if __name__ == "__main__":
    main(sys.argv[1:])
