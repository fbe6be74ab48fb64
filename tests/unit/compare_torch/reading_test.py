"""What tools/compare-torch makes of files and words, without PyTorch: its reader beside troupe's, damaged files, refusals, exit codes.
Usage: reading_test.py TROUPE_PROGRAM
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools" / "demo_model"), str(ROOT / "tools" / "compare_torch")]

import gguf_file
import gguf_reading

TOOL = ROOT / "tools" / "compare-torch"
TROUPE = ""
KEYS = {"general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 64, "llama.embedding_length": 8,
        "llama.feed_forward_length": 16, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5}
SHAPES = {"token_embd.weight": (10, 8), "output_norm.weight": (8,), "blk.0.attn_norm.weight": (8,), "blk.0.attn_q.weight": (8, 8),
          "blk.0.attn_k.weight": (4, 8), "blk.0.attn_v.weight": (4, 8), "blk.0.attn_output.weight": (8, 8),
          "blk.0.ffn_norm.weight": (8,), "blk.0.ffn_gate.weight": (16, 8), "blk.0.ffn_up.weight": (16, 8), "blk.0.ffn_down.weight": (8, 16)}


def size_of(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def written(path, keys=(), shapes=(), kinds=()):
    """A file of one layer, changed as told; None leaves a key or tensor out."""
    keys = {name: value for name, value in {**KEYS, **dict(keys)}.items() if value is not None}
    kinds = dict(kinds)
    tensors = []
    for name, shape in {**SHAPES, **dict(shapes)}.items():
        if shape is not None:
            kind = kinds.get(name, gguf_reading.F32)
            tensors.append((name, shape, kind, bytes(size_of(shape) * (4 if kind == gguf_reading.F32 else 2))))
    gguf_file.write(path, keys, tensors)
    return path


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "m.gguf"

    def assert_refused(self, why, *changes, **named):
        model = gguf_reading.read(written(self.path, *changes, **named))
        with self.assertRaisesRegex(gguf_reading.Refused, why):
            gguf_reading.shape_of(model)


class Reading(InFolder):
    def test_what_was_written_is_read(self):
        values = {"f32": (gguf_reading.F32, struct.pack("<6f", *range(6))), "f16": (gguf_reading.F16, struct.pack("<6e", *range(6))),
                  "bf16": (gguf_reading.BF16, struct.pack("<6H", *range(6)))}
        keys = {"a": "text", "b": [1, -2], "c": ["x", "yy"], "d": 7, "e": 0.5, "f": True}
        gguf_file.write(self.path, keys, [(name, (2, 3), kind, raw) for name, (kind, raw) in values.items()])
        model = gguf_reading.read(self.path)
        self.assertEqual(model.keys, keys)
        for name, (kind, raw) in values.items():
            tensor = model.tensors[name]
            self.assertEqual((tensor.kind, tensor.shape, model.raw[tensor.begin:tensor.begin + tensor.size]), (kind, (3, 2), raw))

    def test_the_plain_file_has_a_shape(self):
        shape = gguf_reading.shape_of(gguf_reading.read(written(self.path)))
        self.assertEqual((shape.vocabulary, shape.embedding, shape.heads, shape.heads_kv, shape.head, shape.feed_forward, shape.rope_scale),
                         (10, 8, 2, 1, 4, 16, 1.0))

    def test_troupe_s_files_are_read_as_troupe_reads_them(self):
        for kind in ("f16", "f32"):
            subprocess.run([TROUPE, "model", "make", "--shape", "tiny", "--type", kind, "--out", self.path], check=True,
                           capture_output=True)
            seen = json.loads(subprocess.run([TROUPE, "model", "inspect", self.path, "--json"], check=True, capture_output=True).stdout)
            model = gguf_reading.read(self.path)
            self.assertEqual({name: (gguf_reading.PLAIN[tensor.kind][0], list(tensor.shape), tensor.size)
                              for name, tensor in model.tensors.items()},
                             {row["name"]: (row["type"], row["shape"], row["bytes"]) for row in seen["tensors"]})
            self.assertEqual(set(model.keys), {row["key"] for row in seen["metadata"]})
            self.assertEqual(gguf_reading.shape_of(model).layers, 2)
            self.assertEqual(gguf_reading.matrix_type(model), kind)

    def test_several_matrix_types_count_as_the_widest(self):
        kinds = {"blk.0.attn_q.weight": gguf_reading.F16, "blk.0.attn_k.weight": gguf_reading.BF16}
        self.assertEqual(gguf_reading.matrix_type(gguf_reading.read(written(self.path, kinds=kinds))), "f32")


class Damage(InFolder):
    def test_every_cut_is_refused(self):
        whole = written(self.path).read_bytes()
        for length in range(len(whole) - 31):  # the last bytes may be padding
            self.path.write_bytes(whole[:length])
            with self.assertRaises(gguf_reading.Refused):
                gguf_reading.read(self.path)

    def test_changed_bytes_are_refused_or_read(self):
        whole = bytearray(written(self.path).read_bytes())
        for at in range(0, 700):
            for value in (0, 9, 255):
                changed = whole[:at] + bytes([value]) + whole[at + 1:]
                self.path.write_bytes(changed)
                try:
                    gguf_reading.shape_of(gguf_reading.read(self.path))
                except gguf_reading.Refused:
                    pass

    def test_other_files_are_refused(self):
        for raw in (b"", b"GGUF", b"PK\3\4" * 20, b"GGUF" + struct.pack("<IQQ", 1, 0, 0), b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
                    b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60)):
            self.path.write_bytes(raw)
            with self.assertRaises(gguf_reading.Refused):
                gguf_reading.read(self.path)


class Refusals(InFolder):
    def test_quantized_and_unknown_types_by_name(self):
        for kind, why in ((8, r"'blk.0.ffn_up.weight' is quantized \(q8_0\)"), (12, "q4_k"), (23, "iq4_xs"), (77, "has type 77")):
            with self.assertRaisesRegex(gguf_reading.Refused, why):
                gguf_reading.read(written(self.path, kinds={"blk.0.ffn_up.weight": kind}))

    def test_what_a_plain_llama_does_not_have(self):
        self.assert_refused("architecture is 'qwen2'", {"general.architecture": "qwen2"})
        self.assert_refused("mixture of experts", {"llama.expert_count": 8})
        self.assert_refused("'yarn'", {"llama.rope.scaling.type": "yarn"})
        self.assert_refused("different lengths", {"llama.rope.dimension_count": 2})
        self.assert_refused("different lengths", {"llama.attention.value_length": 2})
        self.assert_refused("cannot share 3 key heads", {"llama.attention.head_count_kv": 3})
        self.assert_refused("'blk.0.attn_q.bias' has no part", shapes={"blk.0.attn_q.bias": (8,)})

    def test_what_is_missing_or_does_not_fit(self):
        self.assert_refused("'llama.block_count' is missing", {"llama.block_count": None})
        self.assert_refused("'llama.block_count' is", {"llama.block_count": "one"})
        self.assert_refused("1000000000 layers", {"llama.block_count": 1000000000})
        self.assert_refused("'blk.0.ffn_up.weight' is missing", shapes={"blk.0.ffn_up.weight": None})
        self.assert_refused("'token_embd.weight' is missing", shapes={"token_embd.weight": None})
        self.assert_refused(r"'blk.0.attn_k.weight' has the shape \[8, 8\], \[8, 4\]", shapes={"blk.0.attn_k.weight": (8, 8)})

    def test_linear_scaling_is_read(self):
        kind, factor = "llama.rope.scaling.type", "llama.rope.scaling.factor"
        for keys, scale in (({kind: "linear", factor: 4.0}, 4), ({"llama.rope.scale_linear": 2.0}, 2), ({kind: "none", factor: 4.0}, 1)):
            self.assertEqual(gguf_reading.shape_of(gguf_reading.read(written(self.path, keys))).rope_scale, scale)


class Words(InFolder):
    def run_tool(self, *words, code):
        without_torch = self.path.parent / "torch.py"
        without_torch.write_text("raise ImportError('not in this test')\n")
        done = subprocess.run([sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PYTHONPATH": str(self.path.parent)})
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout + done.stderr

    def test_help(self):
        told = self.run_tool("--help", code=0)
        for word in ("--model", "--device", "--troupe", "--json", "Exit 0", "77"):
            self.assertIn(word, told)

    def test_wrong_usage(self):
        written(self.path)
        for words in ((), ("--model",), ("--model", self.path, "--pears", 3), ("--model", self.path, "--pairs", "-1"),
                      ("--model", self.path, "--threads", 0), ("--model", self.path, "--device", "tpu"), ("--model", "absent.gguf"),
                      ("--model", self.path, "--prompt-tokens", 65)):
            self.run_tool(*words, code=2)

    def test_a_quantized_file_is_refused(self):
        written(self.path, kinds={"blk.0.ffn_up.weight": 8})
        self.assertIn("q8_0", self.run_tool("--model", self.path, code=3))

    def test_without_torch_it_says_how_to_get_it(self):
        written(self.path)
        told = self.run_tool("--model", self.path, "--prompt-tokens", 8, "--generate-tokens", 8, code=77)
        self.assertIn("skipped", told)
        self.assertIn("python3-torch", told)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    TROUPE = sys.argv.pop(1)
    unittest.main()
