# SPDX-License-Identifier: Apache-2.0
"""The kernels keep runtime/ARITHMETIC.md, section 1, as the compiler sees them: every program is compiled to LLVM's
intermediate language, in which macros and functions are gone and every operation on floats stands by itself.

Two looks: as written (nothing optimised away: a division by 4 is still one), and optimised with everything inlined (a
product and the addition that it reaches through variables and calls stand next to each other)."""
import re
import shutil
import sys
import unittest

sys.path.insert(0, "tools")
from kernel_builds import (DOT_FLAGS, FEW_GROUPS, NVIDIA_DOTS, X86_DOTS, Build, Source, compile_build, keys,  # noqa: E402
                           source)

# What a kernel may call. Everything else is refused, so a new built-in needs a decision here.
CALLS = set("""get_group_id get_global_id get_global_size get_local_id get_local_size get_num_groups barrier mem_fence
    fma rint convert_float convert_float16 convert_int convert_int16 convert_uint16 vload_half vload_half16
    min max clamp abs bitselect rotate vload4 vload8 vload16 vstore4 vstore8 vstore16 vstore_half_rte vstore_half16_rte
    atomic_or atomic_add atomic_inc atomic_max fabs shuffle2""".split())
CONVERT = re.compile(r"(convert|as)_(u?char|u?short|u?int|u?long|float)\d*(_sat|_rte)*$")
# With floats: no. What max(-0, +0) gives is the device's choice; clamp is allowed, for its bounds are not zero.
INTEGER_ONLY = {"min", "max", "bitselect", "atomic_or", "atomic_add", "atomic_inc", "atomic_max"}
INTRINSICS = re.compile(r"llvm\.(dbg|lifetime|mem(cpy|set|move)|[su](min|max)|abs|fsh[lr]|assume|experimental|"
                        r"vector\.reduce\.(add|or|and|xor|[su](min|max))|[us](add|sub)\.sat|bswap|ctpop|ctlz)\b")
# integer, exact: opencl/kernels/linear_parts.cl says when
MNEMONICS = set("""
    vpdpbusd vpmaddubsw vpmaddwd vpabsb vpsignb vpaddw vpaddd vpslld vpbroadcastd prefetcht0 prefetcht1 prefetchw
    dp4a.u32.s32 sha256rnds2 sha256msg1 sha256msg2
    mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32""".split())
OPTIONS = {"-cl-std=CL1.2", "-w"}

WHY = {
    "division": "`/` on floats may be off by 2.5 units in OpenCL: use mx_div or mx_recip",
    "product in a sum": "a compiler that contracts a*b + c rounds once instead of twice: write fma",
    "half arithmetic": "halves are converted, never computed with: devices round them differently or lack them",
    "double": "doubles are not in every device",
    "rounding to half": "the rounding of this conversion is the device's: use vstore_half_rte",
    "inexact option": "fast-math flags let a compiler change values",
    "contraction": "the compiler may contract: FP_CONTRACT OFF is missing",
    "call": "not in the list of exact functions (built-in functions differ between devices)",
    "assembler": "only the integer instructions that are known to be exact",
    "atomic": "sums by float atomics depend on the order of work-items",
}

INSTRUCTION = re.compile(r"^\s+(?:(%[\w.]+) = )?(?:tail |musttail |notail )?([a-z]+)\b(.*)")
PASSES_ON = {"fneg", "phi", "select", "shufflevector", "extractelement", "insertelement", "freeze"}
FLOAT_SUM = {"fadd", "fsub"}


def mangled(name):
    """"_Z3fmaDv16_fS_S_" as ("fma", "Dv16_fS_S_")."""
    match = re.match(r"_Z(\d+)", name)
    if not match:
        return name, ""
    end = match.end() + int(match[1])
    return name[match.end():end], name[end:]


class Reading:
    """One module of LLVM's text and what is wrong with it: self.found, a set of (rule, kernel, place, detail)."""

    def __init__(self, module, text: Source, dataflow):
        self.text, self.found = text, set()
        self.lines = dict(re.findall(r"^!(\d+) = (?:distinct )?!DILocation\(line: (\d+)", module, re.M))
        self.defined = set(re.findall(r"^define [^@]*@([\w.]+)\(", module, re.M))
        for function in re.findall(r"^define .*?^}", module, re.M | re.S):
            self.function = re.search(r"@([\w.]+)\(", function)[1]
            body = [m for m in map(INSTRUCTION.match, function.splitlines()) if m]
            self.products(body) if dataflow else self.operations(body)

    def add(self, rule, rest, detail=""):
        location = re.search(r"!dbg !(\d+)", rest)
        line = self.lines.get(location[1]) if location else None
        place = self.text.place(int(line)) if line and int(line) else "unknown place"
        self.found.add((rule, self.function, place, detail))

    def operations(self, body):
        for match in body:
            op, rest = match[2], match[3]
            types = rest.split("!dbg")[0]
            if op == "fdiv":
                self.add("division", rest)
            elif op == "fptrunc":
                self.add("rounding to half", rest)
            elif op == "atomicrmw" and re.search(r"\bf(add|sub|max|min)\b", types):
                self.add("atomic", rest)
            elif op == "call":
                self.call(rest)
            if re.match(r"f(add|sub|mul|div|neg|cmp)$", op) and re.search(r"\bhalf\b", types):
                self.add("half arithmetic", rest)
            if re.search(r"\bdouble\b", types.split(", align")[0]) and op != "store":
                self.add("double", rest)
            if op.startswith("f") and re.match(r" (nnan |ninf |nsz |arcp |contract |afn |reassoc |fast )", types):
                self.add("inexact option", rest)

    def call(self, rest):
        if re.search(r"\basm\b", rest):
            code = re.search(r'asm (?:\w+ )*"([^"]*)"', rest)
            for line in re.split(r"\\0A(?:\\09)?|;", code[1]):
                if line.split() and line.split()[0] not in MNEMONICS:
                    self.add("assembler", rest, line.strip())
            return
        name = re.search(r"@([\w.$]+)\(", rest)
        if not name:
            self.add("call", rest, "through a pointer")
            return
        name = name[1]
        if name in self.defined:
            return
        if name.startswith("llvm."):
            if name.startswith("llvm.fmuladd"):
                self.add("contraction", rest)
            elif not INTRINSICS.match(name):
                self.add("call", rest, name)
            return
        function, arguments = mangled(name)
        if not (function in CALLS or CONVERT.match(function)) or \
                function in INTEGER_ONLY and re.search("[fdh]", re.sub(r"Dv\d+_", "", arguments)):
            self.add("atomic" if function.startswith("atom") else "call", rest, function)

    def products(self, body):
        carries = {match[1] for match in body if match[2] == "fmul"}
        operands = [(m, set(re.findall(r"%[\w.]+", m[3].split("!dbg")[0]))) for m in body]
        grown = True
        while grown:  # through selections, loops and vectors
            more = {m[1] for m, used in operands if m[2] in PASSES_ON and used & carries and m[1] not in carries}
            if more:
                carries |= more
            grown = bool(more)
        for match, used in operands:
            if match[2] in FLOAT_SUM and used & carries:
                self.add("product in a sum", match[3])


def clang():
    return next((path for path in map(shutil.which, ("clang", "clang-14", "clang-15")) if path), None)


def target_of(build):
    # x86 serves for NVIDIA's instructions too, no code is made; the default header, because some clangs leave
    # vload_half16 out elsewhere
    return ["-target", "x86_64", "-Xclang", "-finclude-default-header", *DOT_FLAGS[build.dot]] if build.dot else \
        ["-target", "spir64"]


def look(build, text):
    """What is wrong with one program, as a set of (rule, kernel, place, detail)."""
    found = set()
    common = [*target_of(build), "-gline-tables-only", "-emit-llvm"]
    for dataflow, options in (False, ["-O1", "-Xclang", "-disable-llvm-passes"]), \
            (True, ["-O2", "-fno-vectorize", "-fno-slp-vectorize", "-fno-unroll-loops",
                    "-Dinline=inline __attribute__((always_inline))"]):
        result = compile_build(clang(), common + options, build, text.text, "-")
        if result.returncode:
            raise AssertionError(f"{build} does not compile:\n{result.stderr[:2000]}")
        found |= Reading(result.stdout, text, dataflow).found
    return found


def wrong_options(c_source):
    """Options for an OpenCL compiler in the string literals of a C file that are not known to be harmless."""
    literals = re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub(r"/\*.*?\*/", "", c_source, flags=re.S))
    words = [word for text in literals for word in text.split()]
    return sorted({w for w in words if re.match(r"-(cl-|f|O|ffast|w$)", w)} - OPTIONS)


def builds():
    """Every program in both styles, with fewer groups: the group changes no operation."""
    for lanes in (0, 1):
        for key in keys(FEW_GROUPS[:1]):
            if not (lanes and key.file == "sequence"):
                yield key._replace(lanes=lanes)
        for key in keys(FEW_GROUPS[1:]):
            if key.format in (3, 6) and key.file != "sequence":
                yield key._replace(lanes=lanes, half_by_integer=True)
    for dot in X86_DOTS + NVIDIA_DOTS:
        yield Build("linear", 1, 64, dot=dot, lanes=int(dot in NVIDIA_DOTS))
        yield Build("linear", 4, 64, dot=dot, lanes=int(dot in NVIDIA_DOTS))
    yield Build("hash", dot=1, sha256=True)


PLANTED = {  # rule: (name of it, statements of a kernel with float *p, half *h, int *n)
    "exp": ("call", "p[0] = exp(p[1]);"),
    "sqrt of vectors": ("call", "vstore4(sqrt(vload4(0, p)), 0, p);"),
    "native": ("call", "p[0] = native_recip(p[1]);"),
    "half function": ("call", "p[0] = half_exp(p[1]);"),
    "mad": ("call", "p[0] = mad(p[0], p[1], p[2]);"),
    "pow": ("call", "p[0] = pow(p[0], p[1]);"),
    "sin in a macro": ("call", "\n#define S(x) sin(x)\np[0] = S(p[1]);"),
    "dot": ("call", "p[0] = dot(vload4(0, p), vload4(1, p));"),
    "maximum of floats by the driver": ("call", "p[0] = max(p[0], p[1]);"),
    "division": ("division", "p[0] = p[1] / p[2];"),
    "division by a power of two": ("division", "p[0] = p[1] / 4.0f;"),
    "division of vectors": ("division", "vstore4(vload4(0, p) / vload4(1, p), 0, p);"),
    "remainder": ("call", "p[0] = fmod(p[1], p[2]);"),
    "product and sum": ("product in a sum", "p[0] = p[1] * p[2] + p[3];"),
    "product and difference": ("product in a sum", "p[0] = p[3] - p[1] * p[2];"),
    "through a variable": ("product in a sum", "float t = p[1] * p[2]; n[0] = 1; p[0] = t + p[3];"),
    "through a function": ("product in a sum", "p[0] = planted_product(p[1], p[2]) + p[3];"),
    "through a choice": ("product in a sum", "p[0] = (n[0] ? p[1] * p[2] : p[3]) + p[4];"),
    "in a loop": ("product in a sum", "float s = 0; for (int i = 0; i < n[0]; i++) s += p[i] * p[i + 9]; p[0] = s;"),
    "by the other assignment": ("product in a sum", "p[0] -= p[1] * p[2];"),
    "in vectors": ("product in a sum", "vstore4(vload4(0, p) * vload4(1, p) + vload4(2, p), 0, p);"),
    "contraction": ("contraction", "\n#pragma OPENCL FP_CONTRACT ON\np[0] = p[1] * p[2] + p[3];"),
    "permission to contract": ("inexact option", "{\n#pragma clang fp contract(fast)\np[0] = p[1] * p[2] + p[3]; }"),
    "permission to reorder": ("inexact option", "{\n#pragma clang fp reassociate(on)\np[0] = p[1] + p[2] + p[3]; }"),
    "double": ("double", "p[0] = (float)((double)p[1] + p[2]);"),
    "conversion to half": ("rounding to half", "h[0] = (half)p[0];"),
    "half arithmetic": ("half arithmetic", "h[0] = h[1] + h[2];"),
    "atomic exchange of a float": ("atomic", "atomic_xchg(p, 1.0f);"),
    "unknown assembler": ("assembler", '__asm__ volatile("fsin");'),
}
HARMLESS = """p[0] = fma(p[1], p[2], p[3]); p[4] = fma(p[1], p[2], p[3] * p[4]); p[5] = (p[1] + p[2]) * p[3];
    n[0] = n[1] / n[2] + n[3] * n[4]; p[6] = 1.0f / 3; p[7] = rint(p[7]); n[5] = max(n[6], n[7]);
    float t = p[8] * p[9]; p[10] = t;"""


def planted(statements):
    return Source("#pragma OPENCL FP_CONTRACT OFF\n#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
                  "static inline float planted_product(float a, float b) { return a * b; }\n"
                  f"__kernel void planted(__global float *p, __global half *h, __global int *n) {{\n{statements}\n}}\n",
                  [("planted.cl", 1)])


class KernelRules(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if not clang():
            self.skipTest("clang is not installed")

    def test_every_kernel_keeps_the_rules(self):
        wrong = {}
        seen = 0
        for build in builds():
            for rule, kernel, place, detail in look(build, source(build)):
                wrong.setdefault(f"{place}: {rule} {detail} in {kernel}: {WHY[rule]}", str(build))
            seen += 1
        self.assertEqual({}, wrong)
        self.assertGreater(seen, 40)

    def test_options_of_the_compiler(self):
        with open("opencl/program.c", encoding="utf-8") as f:
            text = f.read()
        self.assertIn("-cl-std=CL1.2", text)
        self.assertEqual(wrong_options(text), [])

    def test_planted_violations_are_found(self):
        build = Build("planted")
        for name, (rule, statements) in PLANTED.items():
            with self.subTest(name):
                found = look(build, planted(statements))
                self.assertIn(rule, {f[0] for f in found}, found)
                line = 5 + statements.count("\n")
                self.assertIn(f"planted.cl:{line}", {f[2] for f in found if f[0] == rule}, found)

    def test_what_is_allowed_is_not_found(self):
        self.assertEqual(look(Build("planted"), planted(HARMLESS)), set())

    def test_planted_options_are_found(self):
        for option in "-cl-fast-relaxed-math", "-cl-mad-enable", "-cl-unsafe-math-optimizations", "-cl-denorms-are-zero":
            self.assertEqual(wrong_options(f'/* "-cl-x" */ add(&o, "-cl-std=CL1.2 -w {option}");'), [option])
