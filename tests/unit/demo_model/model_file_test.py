"""The model that the project ships, config/models/demo.gguf: as its card says, read alike by our own reader and by troupe, and
answering as it should. Usage: model_file_test.py TROUPE_PROGRAM
"""

import hashlib
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools" / "demo_model"))

import byte_pairs
import documents
import gguf_file
import stories
import sums

MODEL = ROOT / "config" / "models" / "demo.gguf"
CARD = ROOT / "config" / "models" / "README.md"
BYTES_MAX = 8_000_000
TROUPE = ""

SIMPLE = {4: "<I", 5: "<i", 6: "<f", 7: "<?"}


def read_keys(raw):
    """The keys of a GGUF file: a second, plain reading of the format."""
    _, version, _, count = struct.unpack_from("<4sIQQ", raw)
    at, keys = 24, {}
    if raw[:4] != b"GGUF" or version != 3:
        raise ValueError("no GGUF 3")

    def text():
        nonlocal at
        length = struct.unpack_from("<Q", raw, at)[0]
        at += 8 + length
        return raw[at - length:at].decode()

    def value(kind):
        nonlocal at
        if kind == 8:
            return text()
        if kind == 9:
            inner, many = struct.unpack_from("<IQ", raw, at)
            at += 12
            return [value(inner) for _ in range(many)]
        at += struct.calcsize(SIMPLE[kind])
        return struct.unpack_from(SIMPLE[kind], raw, at - struct.calcsize(SIMPLE[kind]))[0]

    for _ in range(count):
        name = text()
        at += 4
        keys[name] = value(struct.unpack_from("<I", raw, at - 4)[0])
    return keys


def run_troupe(*words):
    done = subprocess.run([TROUPE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"troupe {words[0]} {words[1]} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def answer(prompt, *more):
    return run_troupe("generate", "--model", MODEL, "--prompt", prompt, "--max-tokens", 220, "--threads", 1, "--json", *more)


class Writer(unittest.TestCase):
    def test_what_is_written_is_read_again_by_troupe(self):
        keys = {"general.architecture": "llama", "a.count": 7, "a.number": 0.5, "a.flag": True, "a.texts": ["x", "yy"], "a.ids": [1, -2]}
        halves = struct.pack("<64e", *range(64))
        tensors = [("first", (2, 32), gguf_file.F16, halves), ("second", (3,), gguf_file.F32, struct.pack("<3f", 1, 2, 3))]
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            gguf_file.write(file.name, keys, tensors)
            self.assertEqual(read_keys(pathlib.Path(file.name).read_bytes()), keys)
            seen = run_troupe("model", "inspect", file.name, "--json")
        self.assertEqual({tensor["name"]: (tensor["type"], tensor["shape"]) for tensor in seen["tensors"]},
                         {"first": ("f16", [32, 2]), "second": ("f32", [3])})
        self.assertEqual(len(seen["metadata"]), len(keys))


@unittest.skipUnless(MODEL.exists(), "skipped: config/models/demo.gguf is not here; tools/demo_model/make --install makes it")
class Shipped(unittest.TestCase):
    def test_the_file_is_the_card_s(self):
        raw = MODEL.read_bytes()
        self.assertIn(hashlib.sha256(raw).hexdigest(), CARD.read_text())
        self.assertLessEqual(len(raw), BYTES_MAX)

    def test_its_tokenizer_gives_the_ids_that_training_saw(self):
        keys = read_keys(MODEL.read_bytes())
        ours = byte_pairs.Tokenizer([merge.split(" ") for merge in keys["tokenizer.ggml.merges"]])
        self.assertEqual(ours.texts, keys["tokenizer.ggml.tokens"])
        self.assertEqual(keys["tokenizer.ggml.pre"], byte_pairs.PRE_TOKENIZER)
        text = documents.Writer(8, True).sheet(40) + '\n\n  two  spaces, "quotes" and 007; it\'s 3x4=12 \n'
        seen = run_troupe("model", "tokenize", "--model", MODEL, "--text", text, "--json")
        self.assertEqual(seen["ids"], ours.encode(text))
        self.assertEqual(ours.decode(seen["ids"]), text)

    def test_it_tells_a_story_that_its_grammar_accepts(self):
        good = total = 0
        for seed in range(1, 5):
            text = "Once upon a time" + answer("Once upon a time", "--temperature", 0.8, "--seed", seed)["text"]
            parsed, sentences = stories.count_parsing(text)
            self.assertGreaterEqual(sentences, 6, text)
            good, total = good + parsed, total + sentences
        self.assertGreaterEqual(good, 0.9 * total)

    def test_it_answers_in_both_forms_and_ends_by_itself(self):
        asked = documents.questions_held_out({"sum": 8, "troupe": 8, "world": 8}, 12)
        right = {kind: 0 for kind in asked}
        for kind, pairs in asked.items():
            for index, (question, expected) in enumerate(pairs):
                chat = index % 2 == 0
                prompt = f"<|user|>{question}<|end|><|assistant|>" if chat else f"Question: {question}\nAnswer:"
                found = answer(prompt, *(["--parse-special"] if chat else []))
                self.assertEqual(found["end"], "end_token", (question, found["text"]))
                if kind == "sum":
                    right[kind] += sums.last_number(found["text"]) == sums.last_number(expected)
                else:
                    right[kind] += found["text"].strip() == expected
        self.assertGreaterEqual(right["sum"], 7)
        self.assertGreaterEqual(right["troupe"] + right["world"], 11)

    def test_its_chat_template_writes_what_it_was_trained_on(self):
        template = read_keys(MODEL.read_bytes())["tokenizer.chat_template"]
        self.assertEqual(re.findall(r"'(<\|\w*\|?>?)'", template), ["<|", "<|end|>", "<|assistant|>"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    TROUPE = sys.argv.pop(1)
    unittest.main()
