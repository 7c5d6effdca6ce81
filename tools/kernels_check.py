#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make kernels-check: every program compiles for the kinds of device that this machine does not have.

One line per target; where the compiler of a vendor is installed (ptxas), a table of registers, spills and shared memory.
A tool that is missing is named and its targets count as skipped. Exit status: 0 nothing failed, 1 something did."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from kernel_builds import ALL_GROUPS, Build, DOT_FLAGS, FEW_GROUPS, NVIDIA_DOTS, compile_build, keys, source

LIBCLC = pathlib.Path("/usr/lib/clc/nvptx64--nvidiacl.bc")  # the built-in functions, for code that ptxas can take
PTXAS = shutil.which("ptxas") or next(
    (str(p) for p in [pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin/ptxas"] if p.exists()), None)
SM = "sm_80", "sm_86", "sm_90"
REGISTERS, SPILLED_BYTES, SHARED_BYTES = 255, 0, 48 << 10  # the budget of a kernel; 48 KiB need no opt-in on any of them


def newest_clang(at_least):
    """The installed clang with the lowest version that is enough, or None."""
    for version in range(at_least, at_least + 12):
        if path := shutil.which(f"clang-{version}"):
            return path
    found = shutil.which("clang")
    text = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout if found else ""
    number = re.search(r"version (\d+)", text)
    return found if number and int(number[1]) >= at_least else None


class Target:
    """`style` 0: vectors, as processors want it; 1: lanes, as GPUs do. Of spir64 and Arm only the front end is asked:
    clang makes no code for kernels on Arm, and tests/test_kernel_rules.py lowers spir64."""

    def __init__(self, name, options, styles=(0, 1), dots=(0,), clang=14, needs=None):
        self.name, self.options, self.styles, self.dots, self.needs = name, options, styles, dots, needs
        self.clang, self.version = newest_clang(clang), clang

    def missing(self):
        if not self.clang:
            return f"clang {self.version} or newer"
        return str(self.needs) if self.needs and not self.needs.exists() else None

    def builds(self):
        for lanes in self.styles:
            for dot in self.dots:
                # the group changes how much is unrolled: all of them once, a few elsewhere
                for build in keys(ALL_GROUPS if self.name == "spir64" else FEW_GROUPS):
                    if lanes and build.file == "sequence":
                        continue  # for processors
                    if not dot or build.file == "linear" and build.format in (1, 2, 3, 4):
                        yield build._replace(lanes=lanes, dot=dot)
        if 1 in self.dots:  # enum mx_dot: AVX2
            yield Build("hash", dot=1, sha256=True)
        if self.name == "spir64":
            for lanes in self.styles:
                for build in keys(FEW_GROUPS[:1]):
                    if not (lanes and build.file == "sequence"):
                        yield build._replace(lanes=lanes, half_by_integer=True)


NV = ["-target", "nvptx64-nvidia-nvcl", "-O2", "-Xclang", "-target-cpu", "-Xclang", "sm_80", "-Xclang",
      "-target-feature", "-Xclang", "+ptx70", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", LIBCLC]
AMD = ["-target", "amdgcn--amdhsa", "-nogpulib", "-O1"]
ARM = ["-fsyntax-only", "-Xclang", "-cl-ext=+all", "-target"]
X86 = ["-target", "x86_64", "-O1", "-Xclang", "-finclude-default-header"]
TARGETS = [
    Target("spir64", ["-target", "spir64", "-fsyntax-only"]),
    Target("nvptx64", NV, styles=(1,), dots=(0, *NVIDIA_DOTS), clang=15, needs=LIBCLC),
    Target("gfx90a", [*AMD, "-mcpu=gfx90a"], styles=(1,), clang=15),
    Target("gfx1100", [*AMD, "-mcpu=gfx1100"], styles=(1,), clang=15),
    Target("aarch64", [*ARM, "aarch64-linux-gnu"], styles=(0,)),
    Target("armv7", [*ARM, "armv7-linux-gnueabihf"], styles=(0,)),
    Target("x86_64 avx2", [*X86, *DOT_FLAGS[1]], styles=(0,), dots=(1,)),
    Target("x86_64 vnni512", [*X86, *DOT_FLAGS[2]], styles=(0,), dots=(2,)),
]


def assemble(ptx, sm):
    """[(kernel, registers, bytes spilled, bytes of shared memory)] by ptxas; raises ValueError with its words."""
    result = subprocess.run([PTXAS, "-v", f"-arch={sm}", ptx, "-o", "/dev/null"], capture_output=True, text=True,
                            check=False)
    if result.returncode:
        raise ValueError(result.stderr.strip())
    rows = []
    for part in re.split(r"Compiling entry function ", result.stderr)[1:]:
        number = lambda pattern, text=part: int((re.search(pattern, text) or [0, 0])[1])
        rows.append((re.match(r"'(\w+)'", part)[1], number(r"Used (\d+) registers"), number(r"(\d+) bytes spill stores"),
                     number(r"(\d+) bytes smem")))
    return rows


def check(target, build, folder, change=lambda text: text):
    """(error or None, [(sm, kernel, registers, spilled, shared)]) of one program; `change`: for tests."""
    output = pathlib.Path(folder) / f"{target.name}-{abs(hash(build))}.out"
    result = compile_build(target.clang, target.options, build, change(source(build).text), output)
    if result.returncode:
        return f"{target.name}: {build}:\n{result.stderr[:1500]}", []
    rows = []
    try:
        for sm in SM if target.name == "nvptx64" and PTXAS else ():
            rows += [(sm, *row) for row in assemble(output, sm)]
    except ValueError as e:
        return f"ptxas: {build}:\n{str(e)[:1500]}", []
    return None, rows


def print_table(rows):
    """Largest numbers over the programs that have the kernel; True when they are within the budget."""
    print(f"\n{'kernel':<18}" + "".join(f"{sm + ' reg':>11}{'spilled':>9}{'shared':>8}" for sm in SM))
    good = True
    for kernel in sorted({row[1] for row in rows}):
        line = f"{kernel:<18}"
        for sm in SM:
            most = [max(row[i] for row in rows if row[:2] == (sm, kernel)) for i in (2, 3, 4)]
            good = good and most[0] <= REGISTERS and most[1] <= SPILLED_BYTES and most[2] <= SHARED_BYTES
            line += f"{most[0]:>11}{most[1]:>9}{most[2]:>8}"
        print(line)
    print(f"budget: {REGISTERS} registers, {SPILLED_BYTES} bytes spilled, {SHARED_BYTES} bytes shared: "
          + ("kept" if good else "EXCEEDED"))
    return good


def main():
    errors, rows, skipped = [], [], []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for target in TARGETS:
            if missing := target.missing():
                skipped.append(f"{target.name}: {missing} is missing")
                continue
            results = list(pool.map(lambda b, t=target: check(t, b, folder), target.builds()))
            wrong = [error for error, _ in results if error]
            errors += wrong
            rows += [row for _, some in results for row in some]
            print(f"{target.name:<16}{len(results) - len(wrong)} of {len(results)} programs compile", flush=True)
    if not PTXAS:
        skipped.append(f"{', '.join(SM)}: ptxas is missing")
    good = print_table(rows) if rows else True
    for line in skipped:
        print(f"skipped  {line}")
    for error in errors:
        print(error, file=sys.stderr)
    return 0 if good and not errors else 1


if __name__ == "__main__":
    sys.exit(main())
