"""tools/compare-torch with PyTorch, on tiny models: it agrees with troupe, and does not where it should not. Exit 77 without PyTorch.
Usage: beside_troupe_test.py TROUPE_PROGRAM
"""

import json
import pathlib
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


def as_bf16(source, target):
    """The same model with its matrices cut to bfloat16: the upper half of a float32."""
    model = gguf_reading.read(source)
    tensors = []
    for name, tensor in model.tensors.items():
        raw = model.raw[tensor.begin:tensor.begin + tensor.size]
        kind = tensor.kind
        if len(tensor.shape) > 1:
            halves = bytearray(tensor.size // 2)
            halves[0::2], halves[1::2] = raw[2::4], raw[3::4]
            raw, kind = bytes(halves), gguf_reading.BF16
        tensors.append((name, tuple(reversed(tensor.shape)), kind, raw))
    gguf_file.write(target, model.keys, tensors)


class BesideTroupe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        for name, more in {"f16": [], "f32": ["--type", "f32"], "spm": ["--tokenizer", "sentencepiece"], "other": ["--seed", "2"]}.items():
            subprocess.run([TROUPE, "model", "make", "--shape", "tiny", "--out", cls.folder / f"{name}.gguf", *more], check=True,
                           capture_output=True)
        as_bf16(cls.folder / "f32.gguf", cls.folder / "bf16.gguf")

    def compare(self, name, *more, code=0, troupe=None):
        done = subprocess.run([sys.executable, TOOL, "--model", self.folder / f"{name}.gguf", "--troupe", troupe or TROUPE, "--eager-only",
                               *more], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_answers_agree_for_each_type_and_tokenizer(self):
        for name in ("f16", "f32", "bf16", "spm"):
            with self.subTest(name):
                report = json.loads(self.compare(name, "--pairs", "0", "--json"))
                greedy = report["greedy"]["eager"]
                self.assertEqual((greedy["prompts"], greedy["differ"], report["dtype"]), (6, 0, "float32"))
                self.assertLess(greedy["log_probabilities_apart"], 0.01)
                self.assertNotIn("decode", report)

    def test_it_measures_both(self):
        words = ("--pairs", "1", "--prompt-tokens", "40", "--generate-tokens", "8")
        report = json.loads(self.compare("f16", *words, "--json"))
        for what, tokens in (("prefill", 40), ("decode", 8)):
            row = report[what]
            self.assertEqual(row["tokens"], tokens)
            self.assertAlmostEqual(row["eager_ratio"], row["troupe_tokens_per_second"] / row["eager_tokens_per_second"])
        self.assertRegex(self.compare("f16", *words), r"decode of 8 tokens: troupe \(cpu \w+\) [\d.]+/s, PyTorch eager [\d.]+/s \(ratio")

    def test_another_model_is_noticed(self):
        other = self.folder / "other_troupe"
        other.write_text(f"""#!/bin/sh
for word in "$@"; do
  shift
  case $word in *f16.gguf) word={self.folder}/other.gguf ;; esac
  set -- "$@" "$word"
done
exec {TROUPE} "$@"
""")
        other.chmod(0o755)
        self.assertIn("NOT a tie", self.compare("f16", "--pairs", "1", code=1, troupe=other))
        self.assertIn("a near-tie", self.compare("f16", "--pairs", "0", "--tie", "1000", troupe=other))
        self.assertIn("TOO FAR", self.compare("f16", "--pairs", "0", "--tie", "0", code=1))

    def test_a_troupe_that_does_not_run_is_told(self):
        self.compare("f16", code=1, troupe=self.folder / "absent")
        self.compare("f16", code=1, troupe="/bin/false")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        import torch  # noqa: F401
    except ImportError:
        print(f"skipped: {sys.executable} has no torch")
        sys.exit(77)
    TROUPE = sys.argv.pop(1)
    unittest.main()
