# SPDX-License-Identifier: Apache-2.0
"""The programs that a device may be asked to build, as opencl/program.c puts them together, for checks without a device.
tests/test_kernel_rules.py and tools/kernels_check.py share this."""
import pathlib
import subprocess
import typing

KERNELS = pathlib.Path("opencl/kernels")
SHARED = "arith", "weights"  # the first strings of every program
LINEAR = "linear_parts", *["linear_tile"] * 4, *["linear_block"] * 2  # before linear.cl
PARTS = "norm", "rope", "attention", "route", "embed", "linear_results", *LINEAR, "linear", "float32", *LINEAR, \
    "linear"  # what sequence.cl runs
NO_PROGRAMS = *SHARED, "linear_results", *LINEAR, "float32"
INTEGER_FORMATS, FLOAT_FORMATS = (1, 2, 3, 4), (5, 6, 7)
DOT_NAMES = "portable", "avx2", "vnni512", "dp4a", "mma"  # enum mx_dot
DOT_FLAGS = [], ["-mavx2"], ["-mavx2", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"], \
    [], []
X86_DOTS, NVIDIA_DOTS = (1, 2), (3, 4)


class Build(typing.NamedTuple):
    file: str
    format: int = 0
    group: int = 0
    kv: int = 0
    dot: int = 0
    lanes: int = 0
    half_by_integer: bool = False
    sha256: bool = False  # by the processor's instructions

    def files(self):
        return *SHARED, *{"sequence": PARTS, "linear": ("linear_results", *LINEAR)}.get(self.file, ()), self.file

    def defines(self):
        values = {"FORMAT": self.format, "GROUP": self.group, "KV": self.kv, "DOT": self.dot,
                  "LANES": self.lanes, "LOCAL": 128}
        return [f"-DMX_{k}={v}" for k, v in values.items()] + ["-DMX_HALF_BY_INTEGER"] * self.half_by_integer + \
            ["-DMX_SHA256=1"] * self.sha256 + ["-DMX_SEQUENCE"] * (self.file == "sequence")

    def __str__(self):
        parts = [f"{k} {getattr(self, k)}" for k in ("format", "group", "kv") if getattr(self, k)]
        parts += [DOT_NAMES[self.dot]] * bool(self.dot) + ["halves by integers"] * self.half_by_integer + \
            ["SHA instructions"] * self.sha256
        return f"{self.file}.cl ({', '.join(parts + ['lanes' if self.lanes else 'vectors'])})"


def keys(groups):
    """The program keys of opencl/program.h; `groups`: those to try of each integer format."""
    for path in sorted(KERNELS.glob("*.cl")):
        name = path.stem
        if name in NO_PROGRAMS:
            continue
        if name == "linear":
            for fmt in INTEGER_FORMATS:
                for group in groups:
                    yield Build(name, fmt, group)
            for fmt in FLOAT_FORMATS:
                yield Build(name, fmt)
        elif name == "sequence":  # of parts that are listed by themselves
            yield Build(name, INTEGER_FORMATS[0], groups[0], kv=1)
            yield Build(name, FLOAT_FORMATS[0])
            yield Build(name, FLOAT_FORMATS[0], kv=2)
            yield Build(name, INTEGER_FORMATS[0], groups[0], kv=3)
        else:  # rope.cl without a KV type is the program of the tables
            for kv in (1, 2, 3) if name == "attention" else (0, 1, 2, 3) if name == "rope" else (0,):
                yield Build(name, kv=kv)


ALL_GROUPS = [32, 64, 128]
FEW_GROUPS = [64, 128]


class Source(typing.NamedTuple):
    text: str
    lines: list  # (file, first line in text) of each string, in order

    def place(self, line):
        file, first = [part for part in self.lines if part[1] <= line][-1]
        return f"{file}:{line - first + 1}"


def source(build, folder=KERNELS):
    """The text of a program, and where its lines come from."""
    text, lines = "", []
    for name in build.files():
        lines.append((str(pathlib.Path(folder) / f"{name}.cl"), text.count("\n") + 1))
        text += (pathlib.Path(folder) / f"{name}.cl").read_text()
    return Source(text, lines)


def compile_build(clang, target_options, build, text, output):
    """Runs `clang`; the result has returncode, stdout and stderr as text."""
    command = [clang, "-x", "cl", "-cl-std=CL1.2", "-w", *target_options, *build.defines(), "-S", "-o", output, "-"]
    return subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, check=False)
