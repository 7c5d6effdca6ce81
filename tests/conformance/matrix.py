#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make conformance: installs what can be installed, runs `moxie conform` on every driver, prints a table driver x result.

    tests/conformance/matrix.py [--quick] [NAME...]     rows whose name begins with one of the NAMEs; --quick: those of make test

Exit status: 0 all that ran gave the expected fingerprint, 1 one did not. What cannot run here is skipped by name."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
import typing

FOLDER = pathlib.Path("build/conformance").resolve()
INTEL = "intel-opencl-rt", "intel-cmplr-lib-rt", "intel-cmplr-lib-ur"
VENDORS = pathlib.Path("/etc/OpenCL/vendors")
# what Oclgrind says of a kernel (race, uninitialised, out of bounds, divergence, ...), of a call, of itself
COMPLAINT = re.compile(r"^\tKernel: |^Oclgrind - |^OCLGRIND", re.M)


class Missing(Exception):
    """What a row needs and does not find."""


def run(command, log, env=None):
    """Exit status; all output goes to the log."""
    with open(log, "ab") as out:
        return subprocess.run([str(c) for c in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                              env=os.environ | (env or {}), check=False).returncode


def icd(name, library):
    """Environment in which only this OpenCL driver is found."""
    folder = FOLDER / "vendors" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.icd").write_text(f"{library}\n")
    return {"OCL_ICD_VENDORS": str(folder)}


def installed_icd(name):
    path = VENDORS / f"{name}.icd"
    if not path.exists():
        raise Missing(f"{path} is missing")
    return icd(name, path.read_text().strip())


def build(name, target, *variables):
    """`target` of the Makefile in a folder of its own."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{name}.build.log"
    if run(["make", "-s", f"-j{os.cpu_count()}", f"B={folder}", *variables, folder / target], log):
        raise Missing(f"it does not build, see {log}")
    return folder / target


# ---- Drivers: each gives (command, environment) ----

def pocl():
    return ["build/moxie"], installed_icd("pocl")


def pocl_avx2():
    if "avx512_vnni" not in pathlib.Path("/proc/cpuinfo").read_text():
        raise Missing("this processor has no AVX-512 VNNI that could be left out")
    return pocl()


def oclgrind():
    if not shutil.which("oclgrind"):
        raise Missing("oclgrind is missing")
    memory = FOLDER / "oclgrind_memory.so"
    if run(["cc", "-shared", "-fPIC", "tests/conformance/oclgrind_memory.c", "-o", memory], FOLDER / "oclgrind.build.log"):
        raise Missing("cc is missing")
    # in front of Oclgrind, which puts itself first
    moxie = f'LD_PRELOAD="{memory}:$LD_PRELOAD" exec build/moxie "$@"'
    return ["oclgrind", "--data-races", "--uninitialized", "--check-api", "sh", "-c", moxie, "moxie"], {}


def rusticl():
    return ["build/moxie"], installed_icd("rusticl") | {"RUSTICL_ENABLE": "llvmpipe"}


def intel():
    venv = FOLDER / "intel"
    library = venv / "lib/libintelocl.so"
    if not library.exists():
        log = FOLDER / "intel.install.log"
        if run([sys.executable, "-m", "venv", venv], log) or run([venv / "bin/pip", "install", "-q", *INTEL], log) or \
                not library.exists():
            raise Missing(f"{INTEL[0]} cannot be installed, see {log}")
    return ["build/moxie"], icd("intel", library) | {"LD_LIBRARY_PATH": str(venv / "lib")}


def arm64():
    log = FOLDER / "arm64.log"
    log.unlink(missing_ok=True)
    status = run(["tests/conformance/arm64.sh", "make", FOLDER / "arm64"], log)
    if status:
        raise Missing((log.read_text(errors="replace").strip().splitlines() or [f"status {status}"])[-1])
    return ["tests/conformance/arm64.sh", "run", FOLDER / "arm64"], {}


def twin(name, *variables):
    def make():
        compiler = [v[3:] for v in variables if v.startswith("CC=")]
        if compiler and not shutil.which(compiler[0]):
            raise Missing(f"{compiler[0]} is missing")
        return [build(f"twin-{name}", "moxie-twin", *variables)], {}
    return make


class Row(typing.NamedTuple):
    name: str
    make: typing.Callable
    options: tuple = ()
    quick: bool = False
    in_root: bool = False  # its files are in the arm64 root


ROWS = [
    Row("PoCL, best variant, 2 threads", pocl, ("--threads", "2"), quick=True),
    Row("PoCL, best variant, 1 thread", pocl, ("--threads", "1")),
    Row("PoCL, AVX2", pocl_avx2, ("--tune", "without=4")),
    Row("PoCL, portable, 2 threads", pocl, ("--portable", "--threads", "2")),
    Row("PoCL, portable, 1 thread", pocl, ("--portable", "--threads", "1")),
    Row("PoCL, portable, small", pocl, ("--portable", "--small"), quick=True),
    Row("Oclgrind, small", oclgrind, ("--small", "--jobs", "1"), quick=True),
    Row("rusticl on llvmpipe, small", rusticl, ("--small",), quick=True),
    Row("rusticl, work-groups of 64, small", rusticl, ("--small", "--tune", "work_group=64,unit_entries=8")),
    Row("rusticl, work-groups of 256, small", rusticl, ("--small", "--tune", "work_group=256,side_by_side=5")),
    Row("PoCL, other units, small", pocl, ("--small", "--tune", "core_units=1,job_units=1,unit_entries=8,side_by_side=7")),
    Row("PoCL, no lists, small", pocl, ("--small", "--tune", "no_lists=1")),
    Row("Intel's CPU runtime", intel),
    Row("arm64 PoCL under qemu, small", arm64, ("--small",), in_root=True),
    Row("C twin, gcc -O2", twin("gcc")),
    Row("C twin, gcc -O0, small", twin("O0", "CFLAGS=-O0"), ("--small",)),
    Row("C twin, gcc -O3 -march=native", twin("O3", "CFLAGS=-O3 -march=native")),
    Row("C twin, clang", twin("clang", "CC=clang")),
    Row("C twin, UBSan, small", twin("ubsan", "SAN=1"), ("--small",)),
]


def conform(row):
    """(result in words, report or None, seconds). Raises Missing."""
    command, env = row.make()
    slug = "".join(c if c.isalnum() else "-" for c in row.name)
    report, log = FOLDER / f"{slug}.json", FOLDER / f"{slug}.log"
    report.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    place = f"/moxie/{slug}.json" if row.in_root else report
    began = time.time()
    status = run([*command, "conform", *row.options, "--report", place], log, env)
    seconds = time.time() - began
    if row.in_root and (inside := FOLDER / f"arm64/root/moxie/{slug}.json").exists():
        shutil.copy(inside, report)
    if not report.exists():
        last = (log.read_text(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
        return f"no report, status {status}: {last}", None, seconds
    found = json.loads(report.read_text())
    if command[0] == "oclgrind" and (complaints := COMPLAINT.findall(log.read_text(errors="replace"))):
        return f"{len(complaints)} complaints, see {log}", found, seconds
    replaced = {f"{r['was']} -> {r['is']} for {r['why']}" for v in found["vectors"] for r in v["replaced"]}
    if replaced:  # the same bits, but not from what was to be tried here
        return f"{', '.join(sorted(replaced))}, see {report}", found, seconds
    same = status == 0 and found["fingerprint"] == found["expected_fingerprint"] and found["result"] == "conforms"
    return "same bits" if same else f"{found['result']}, see {report}", found, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines, wrong = [], []
    for row in ROWS:
        if args.quick and not row.quick or args.name and not row.name.startswith(tuple(args.name)):
            continue
        try:
            result, report, seconds = conform(row)
        except Missing as why:
            lines.append(f"| {row.name} | skipped: {why} | | | |")
            print(lines[-1], flush=True)
            continue
        if result != "same bits":
            wrong.append(row.name)
        facts = (report or {}).get("facts") or {}
        lines.append(f"| {row.name} | {result} | {((report or {}).get('fingerprint') or '-')[:16]} | "
                     f"{facts.get('version', '')} {facts.get('driver', '')} | {seconds:.0f} s |")
        print(lines[-1], flush=True)
    table = "\n".join([f"{datetime.date.today()}, {platform.machine()}, {platform.platform()}", "",
                       "| row | result | fingerprint | versions | time |", "|---|---|---|---|---|", *lines])
    (FOLDER / "table.md").write_text(table + "\n")
    print(f"\n{table}\n\n{len(lines)} rows, different: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
