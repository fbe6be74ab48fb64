"""Reads GGUF files of plain types, and the shape of the Llama model in them. Python's standard library only.

A second reading of the format, on purpose not troupe's: what the two make of a file is compared. Quantized tensors are refused, since
PyTorch would compute with other numbers than troupe does, and so is all that a plain Llama does not have.
"""

import dataclasses
import mmap
import struct

F32, F16, BF16 = 0, 1, 30
PLAIN = {F32: ("f32", 4), F16: ("f16", 2), BF16: ("bf16", 2)}
QUANTIZED = {2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k",
             15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs",
             29: "iq1_m", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4"}
NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY = 8, 9
DERIVED = ("attn.rot_embd.weight", "attn_rot_embd.weight", "rotary_emb.inv_freq")  # in older files: follow from the metadata
COUNT_MAX = 1 << 20


class Refused(Exception):
    """The file is damaged, or holds something that is not compared; the text says what."""


@dataclasses.dataclass
class Tensor:
    shape: tuple  # the row's length first, as the file has it
    kind: int
    begin: int  # of its bytes in the file
    size: int


@dataclasses.dataclass
class Model:
    raw: mmap.mmap
    keys: dict
    tensors: dict


class Cursor:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def numbers(self, form):
        size = struct.calcsize(form)
        if size > len(self.raw) - self.at:
            raise Refused(f"the file ends too soon, at byte {len(self.raw)}")
        self.at += size
        return struct.unpack_from(form, self.raw, self.at - size)

    def number(self, form):
        return self.numbers(form)[0]

    def text(self):
        length = self.number("<Q")
        if length > len(self.raw) - self.at:
            raise Refused(f"a text at byte {self.at} claims {length} bytes, past the file's end")
        self.at += length
        return self.raw[self.at - length:self.at].decode(errors="replace")

    def value(self, kind):
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            raise Refused(f"a value at byte {self.at} has the unknown type {kind}")
        inner, count = self.numbers("<IQ")
        if inner == TEXT:
            return [self.text() for _ in range(count)]
        if inner not in NUMBERS:
            raise Refused(f"an array at byte {self.at} has elements of type {inner}")
        if count > len(self.raw) - self.at:
            raise Refused(f"an array at byte {self.at} claims {count} elements, past the file's end")
        return list(self.numbers(f"<{count}{NUMBERS[inner][1]}"))


def read_tensor(cursor):
    name = cursor.text()
    dimensions = cursor.number("<I")
    if not 1 <= dimensions <= 4:
        raise Refused(f"tensor '{name}' has {dimensions} dimensions")
    shape = cursor.numbers(f"<{dimensions}Q")
    kind, begin = cursor.numbers("<IQ")
    if kind in QUANTIZED:
        raise Refused(f"tensor '{name}' is quantized ({QUANTIZED[kind]}): PyTorch would compute with other numbers; "
                      "give a file of type f16, bf16 or f32")
    if kind not in PLAIN:
        raise Refused(f"tensor '{name}' has type {kind}; f16, bf16 and f32 are read")
    size = PLAIN[kind][1]
    for length in shape:
        size *= length
    return name, Tensor(shape, kind, begin, size)


def mapped(path):
    with open(path, "rb") as file:
        try:
            # A private copy: torch wants memory that could be written.
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except ValueError as empty:
            raise Refused("the file is empty") from empty


def read(path):
    raw = mapped(path)
    cursor = Cursor(raw)
    if raw[:4] != b"GGUF":
        raise Refused("not a GGUF file")
    _, version, tensor_count, key_count = cursor.numbers("<4sIQQ")
    if version not in (2, 3):
        raise Refused(f"GGUF version {version} is not read")
    if max(tensor_count, key_count) > COUNT_MAX:
        raise Refused(f"the file claims {tensor_count} tensors and {key_count} keys")
    keys, tensors = {}, {}
    for _ in range(key_count):
        name = cursor.text()
        keys[name] = cursor.value(cursor.number("<I"))
    for _ in range(tensor_count):
        name, tensor = read_tensor(cursor)
        tensors[name] = tensor
    alignment = keys.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 8 or alignment & (alignment - 1):
        raise Refused(f"'general.alignment' is {alignment}")
    data = cursor.at + -cursor.at % alignment
    for name, tensor in tensors.items():
        tensor.begin += data
        if tensor.begin % alignment or tensor.begin + tensor.size > len(raw):
            raise Refused(f"tensor '{name}' lies past the file's end, or is not aligned")
    return Model(raw, keys, tensors)


@dataclasses.dataclass
class Shape:
    vocabulary: int
    embedding: int
    layers: int
    heads: int
    heads_kv: int
    head: int
    feed_forward: int
    context: int
    norm_epsilon: float
    rope_base: float
    rope_scale: float  # positions are divided by it


class Keys:
    def __init__(self, keys):
        self.keys = keys

    def number(self, key, absent=None):
        value = self.keys.get("llama." + key, absent)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
            raise Refused(f"'llama.{key}' is {'missing' if value is None else repr(value)[:40]}")
        return value

    def count(self, key, absent=None):
        value = self.number(key, absent)
        if not isinstance(value, int) or value < 1:
            raise Refused(f"'llama.{key}' is {value}")
        return value


def rope_scale(keys):
    scaling = keys.keys.get("llama.rope.scaling.type", "")
    if scaling == "none":
        return 1.0
    if scaling not in ("", "linear"):
        raise Refused(f"'llama.rope.scaling.type' is {scaling!r}; only none and linear are computed")
    return float(keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 0))) or 1.0


def expected_tensors(shape):
    """name -> shape of all that a plain Llama has; own output and RoPE factors may be absent."""
    width, query, kv, hidden = shape.embedding, shape.heads * shape.head, shape.heads_kv * shape.head, shape.feed_forward
    wanted = {"token_embd.weight": (width, shape.vocabulary), "output_norm.weight": (width,)}
    for layer in range(shape.layers):
        for name, size in {"attn_norm": (width,), "attn_q": (width, query), "attn_k": (width, kv), "attn_v": (width, kv),
                           "attn_output": (query, width), "ffn_norm": (width,), "ffn_gate": (width, hidden), "ffn_up": (width, hidden),
                           "ffn_down": (hidden, width)}.items():
            wanted[f"blk.{layer}.{name}.weight"] = size
    return wanted, {"output.weight": (width, shape.vocabulary), "rope_freqs.weight": (shape.head // 2,)}


def check_tensors(model, shape):
    if shape.layers > len(model.tensors):
        raise Refused(f"{shape.layers} layers in {len(model.tensors)} tensors")
    wanted, optional = expected_tensors(shape)
    for name in wanted:
        if name not in model.tensors:
            raise Refused(f"tensor '{name}' is missing")
    for name, tensor in model.tensors.items():
        size = wanted.get(name, optional.get(name))
        if size is None:
            if not name.endswith(DERIVED):
                raise Refused(f"tensor '{name}' has no part in a plain Llama model")
        elif tensor.shape != size:
            raise Refused(f"tensor '{name}' has the shape {list(tensor.shape)}, {list(size)} follows from the metadata")


def shape_of(model):
    keys = Keys(model.keys)
    architecture = model.keys.get("general.architecture")
    if architecture != "llama":
        raise Refused(f"the architecture is {architecture!r}, not 'llama'")
    if keys.number("expert_count", 0) > 0:
        raise Refused("the model is a mixture of experts")
    table = model.tensors.get("token_embd.weight")
    if table is None or len(table.shape) != 2:
        raise Refused("tensor 'token_embd.weight' is missing or no table")
    embedding, heads = keys.count("embedding_length"), keys.count("attention.head_count")
    usual = embedding // heads
    shape = Shape(vocabulary=table.shape[1], embedding=embedding, layers=keys.count("block_count"), heads=heads,
                  heads_kv=keys.count("attention.head_count_kv", heads), head=keys.count("attention.key_length", usual),
                  feed_forward=keys.count("feed_forward_length"), context=keys.count("context_length"),
                  norm_epsilon=keys.number("attention.layer_norm_rms_epsilon"), rope_base=keys.number("rope.freq_base", 10000.0),
                  rope_scale=rope_scale(keys))
    if keys.count("attention.value_length", usual) != shape.head or keys.count("rope.dimension_count", shape.head) != shape.head:
        raise Refused("keys, values and RoPE of different lengths are not computed")
    if heads % shape.heads_kv or shape.head % 2:
        raise Refused(f"{heads} heads of {shape.head} cannot share {shape.heads_kv} key heads")
    check_tensors(model, shape)
    return shape


def matrix_type(model):
    """The one type of all matrices, or f32 where there are several, since it holds every number of the others."""
    kinds = {tensor.kind for tensor in model.tensors.values() if len(tensor.shape) > 1}
    return PLAIN[kinds.pop() if len(kinds) == 1 else F32][0]
