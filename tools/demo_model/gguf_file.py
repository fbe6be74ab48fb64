"""Writes GGUF version 3: keys, then tensors in F32 or F16. Little-endian; data aligned to 32 bytes."""

import struct

ALIGNMENT = 32
F32, F16 = 0, 1
_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _INT32 = 4, 6, 7, 8, 9, 5


def _string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value):
    """(type number, bytes). int is uint32, a list is one of strings or of int32."""
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return _UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return _FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _string(value)
    texts = isinstance(value[0], str)
    body = b"".join(_string(text) for text in value) if texts else struct.pack(f"<{len(value)}i", *value)
    return _ARRAY, struct.pack("<IQ", _STRING if texts else _INT32, len(value)) + body


def write(path, keys, tensors):
    """keys: name -> value. tensors: (name, shape with the row length last, F32 or F16, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, value in keys.items():
        kind, body = _value(value)
        head += _string(name) + struct.pack("<I", kind) + body
    offset = 0
    for name, shape, kind, raw in tensors:
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, offset)
        offset += len(raw) + -len(raw) % ALIGNMENT
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % ALIGNMENT))
        for _, _, _, raw in tensors:
            file.write(raw + b"\0" * (-len(raw) % ALIGNMENT))
