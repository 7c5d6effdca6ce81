#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packing a checkpoint of some size: memory, what is read, the progress bar, and what a stop leaves behind."""
import os
import pathlib
import pty
import re
import resource
import signal
import subprocess
import time

import numpy as np

import checkpoint_files as files
from tool import MOXIE, ToolTest

HIDDEN, WIDTH, EXPERTS = 1024, 1024, 16


class Large(ToolTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config = files.moe_config(num_hidden_layers=1, num_experts=EXPERTS, hidden_size=HIDDEN, num_attention_heads=8,
                                  moe_intermediate_size=WIDTH, shared_expert_intermediate_size=3 * WIDTH,
                                  torch_dtype="bfloat16")
        random = np.random.RandomState(1)
        small = lambda *shape: (random.randint(0, 1 << 16, shape, np.uint16) & 0xBFFF) | 0x3000  # below 2 in magnitude
        base = "model.layers.0."
        tensors = {"model.embed_tokens.weight": small(67, HIDDEN), "lm_head.weight": small(67, HIDDEN),
                   "model.norm.weight": small(HIDDEN), base + "input_layernorm.weight": small(HIDDEN),
                   base + "post_attention_layernorm.weight": small(HIDDEN), base + "mlp.gate.weight": small(EXPERTS, HIDDEN),
                   base + "mlp.shared_expert_gate.weight": small(1, HIDDEN),
                   base + "self_attn.o_proj.weight": small(HIDDEN, HIDDEN)}
        for part, rows in ("q", HIDDEN), ("k", HIDDEN // 8), ("v", HIDDEN // 8):
            tensors |= {f"{base}self_attn.{part}_proj.weight": small(rows, HIDDEN),
                        f"{base}self_attn.{part}_proj.bias": small(rows)}
        for name, width in [(f"experts.{e}", WIDTH) for e in range(EXPERTS)] + [("shared_expert", 3 * WIDTH)]:
            tensors |= {f"{base}mlp.{name}.gate_proj.weight": small(width, HIDDEN),
                        f"{base}mlp.{name}.up_proj.weight": small(width, HIDDEN),
                        f"{base}mlp.{name}.down_proj.weight": small(HIDDEN, width)}
        cls.checkpoint = files.write_folder(cls.folder / "large", config, tensors)
        cls.bytes = (cls.checkpoint / "model.safetensors").stat().st_size
        cls.out = cls.folder / "out"
        cls.out.mkdir()
        (cls.out / "b.moxie").write_text("the old file")

    def start(self, *options, **popen):
        return subprocess.Popen([MOXIE, "pack", self.checkpoint, "-o", self.out / "b.moxie", *options], env=self.environment,
                                **popen)

    def written(self, process):
        """Bytes of the file that is to take b.moxie's place. It has no name, or a temporary one."""
        size = 0
        for fd in pathlib.Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                if os.readlink(fd).startswith(f"{self.out}/"):
                    size += fd.stat().st_size
            except OSError:  # closed meanwhile
                pass
        return size

    def wait_for_bytes(self, process):
        while process.poll() is None and not self.written(process):
            time.sleep(0.001)
        self.assertIsNone(process.poll(), "it was done before it could be stopped")

    def only_the_old_file(self):
        self.assertEqual([(p.name, p.read_text()) for p in self.out.iterdir()], [("b.moxie", "the old file")])

    def test_ctrl_c_leaves_the_old_file(self):
        with self.start("--weights", "int4", "--threads", "1", stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self.wait_for_bytes(process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
        self.assertEqual((process.returncode, out), (130, b""))
        self.assertIn(b"packing was stopped", err)
        self.only_the_old_file()

    def test_a_full_disk_leaves_the_old_file(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (self.bytes // 2, resource.RLIM_INFINITY))
        with self.start(stderr=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=limit) as process:
            _out, err = process.communicate()
        self.assertEqual(process.returncode, 20)
        self.assertIn(b"b.moxie: cannot be written", err)
        self.only_the_old_file()

    def test_memory_stays_and_the_source_is_read_once(self):
        read = lambda: int(re.search(r"rchar: (\d+)", pathlib.Path("/proc/self/io").read_text())[1])
        before = read()
        most = 0  # KiB; what the system tells at the end includes the Python that the process was forked from
        with self.start("-o", self.folder / "kept.moxie", stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                most = max(most, *map(int, re.findall(r"VmHWM:\s*(\d+)", status)), 0)
                time.sleep(0.002)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(most, 1024)
        self.assertLess(read() - before, 1.05 * self.bytes)  # what a child has read counts once it is waited for
        if "/san" not in str(MOXIE):
            self.assertLess(most * 1024, 0.4 * self.bytes)

    def test_the_bar_tells_speed_and_time_left(self):
        terminal, slave = pty.openpty()
        with self.start("--weights", "int4", "--threads", "1", stderr=slave, stdout=subprocess.DEVNULL) as process:
            self.wait_for_bytes(process)
            process.send_signal(signal.SIGSTOP)  # the bar is for what takes more than a second
            time.sleep(1.1)
            process.send_signal(signal.SIGCONT)
            os.close(slave)
            shown = b""
            try:
                while b" left" not in shown:
                    shown += os.read(terminal, 4096)
            except OSError:  # the other end is closed
                pass
            process.send_signal(signal.SIGINT)
        os.close(terminal)
        self.assertRegex(shown, rb"packing \[#* *\] +\d+ %, \d+ MB/s, \d+:\d\d left")
        self.only_the_old_file()


if __name__ == "__main__":
    import unittest
    unittest.main()
