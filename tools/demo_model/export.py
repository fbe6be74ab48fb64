#!/usr/bin/python3
"""Writes a trained model as GGUF in F16: export.py FOLDER OUT.gguf, where FOLDER is train.py's."""

import json
import pathlib
import sys

import fast_cpu

torch = fast_cpu.import_torch()

import byte_pairs
import documents
import gguf_file
from llama_model import Shape

CHAT_TEMPLATE = ("{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
                 "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")
PARTS = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3


def keys_of(shape, tokenizer):
    ids = tokenizer.ids
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": "troupe demo",
        "general.description": "A small model that tells short stories, adds numbers and answers questions about troupe and an "
                               "invented land. Trained from text that the project generates.",
        "general.license": "apache-2.0",
        "general.languages": ["en"],
        "general.tags": ["text-generation", "demonstration"],
        "general.file_type": 1,
        "general.quantization_version": 2,
        "general.alignment": gguf_file.ALIGNMENT,
        "llama.block_count": shape.layers,
        "llama.context_length": shape.context,
        "llama.embedding_length": shape.embedding,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.heads_kv,
        "llama.attention.key_length": shape.head,
        "llama.attention.value_length": shape.head,
        "llama.attention.layer_norm_rms_epsilon": shape.norm_epsilon,
        "llama.rope.dimension_count": shape.head,
        "llama.rope.freq_base": shape.rope_base,
        "llama.vocab_size": shape.vocabulary,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": byte_pairs.PRE_TOKENIZER,
        "tokenizer.ggml.tokens": tokenizer.texts,
        "tokenizer.ggml.token_type": [CONTROL_TOKEN if text in documents.CONTROL else NORMAL_TOKEN for text in tokenizer.texts],
        "tokenizer.ggml.merges": [f"{first} {second}" for first, second in tokenizer.merges],
        "tokenizer.ggml.bos_token_id": ids[documents.START],
        "tokenizer.ggml.eos_token_id": ids[documents.END],
        "tokenizer.ggml.padding_token_id": ids[documents.END],
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def tensors_of(shape, weights):
    def tensor(name, values):
        matrix = values.dim() > 1
        values = values.half() if matrix else values.float()
        return name, tuple(values.shape), gguf_file.F16 if matrix else gguf_file.F32, values.contiguous().numpy().tobytes()

    made = [tensor("token_embd.weight", weights["token_embd.weight"])]
    for layer in range(shape.layers):
        made += [tensor(f"blk.{layer}.{part}.weight", weights[f"blocks.{layer}.{part}.weight"]) for part in PARTS]
    return made + [tensor("output_norm.weight", weights["output_norm.weight"])]


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if "--help" in sys.argv else 2)
    folder = pathlib.Path(sys.argv[1])
    if not (folder / "model.pt").exists():
        sys.exit(f"{sys.argv[0]}: {folder}/model.pt is missing; train.py --out {folder} makes it")
    saved = torch.load(folder / "model.pt", map_location="cpu")
    shape = Shape(**saved["shape"])
    tokenizer = byte_pairs.Tokenizer(json.loads((folder / "tokenizer.json").read_text()))
    gguf_file.write(sys.argv[2], keys_of(shape, tokenizer), tensors_of(shape, saved["model"]))


if __name__ == "__main__":
    main()
