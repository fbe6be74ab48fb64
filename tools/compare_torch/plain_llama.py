"""A plain Llama in PyTorch for one sequence, with a GGUF file's own weights: what a careful user would write there.

Products over the same rows are joined (query, key and value; gate and up), keys and values lie in a cache of fixed size, attention is
scaled_dot_product_attention where PyTorch has it (from 2.0). Runs with PyTorch 1.13 too.
"""

import gguf_reading
import torch
from torch import nn
from torch.nn import functional


def read_values(model, name):
    tensor = model.tensors[name]
    kind = {gguf_reading.F32: torch.float32, gguf_reading.F16: torch.float16, gguf_reading.BF16: torch.bfloat16}[tensor.kind]
    count = tensor.size // gguf_reading.PLAIN[tensor.kind][1]
    return torch.frombuffer(model.raw, dtype=kind, count=count, offset=tensor.begin).reshape(tuple(reversed(tensor.shape)))


def written_out_attention(query, key, value, attn_mask=None, is_causal=False):
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if is_causal:
        positions = query.shape[-2]
        attn_mask = torch.ones(positions, positions, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    return torch.softmax(scores, -1) @ value


def product(rows, weight):
    """A single row of float32 on a CPU: twice as fast with OpenBLAS's product of a matrix and a vector."""
    if len(rows) == 1 and rows.dtype == torch.float32 and rows.device.type == "cpu":
        return torch.mv(weight, rows[0]).unsqueeze(0)
    return functional.linear(rows, weight)


ATTENTION = getattr(functional, "scaled_dot_product_attention", written_out_attention)


class Norm(nn.Module):
    def __init__(self, weight, epsilon):
        super().__init__()
        self.register_buffer("weight", weight)
        self.epsilon = epsilon

    def forward(self, x):
        if hasattr(functional, "rms_norm"):
            return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)).to(x.dtype) * self.weight


class Layer(nn.Module):
    """Keys and values of a layer are [head, position, dimension]."""

    def __init__(self, shape, context, tensor):
        super().__init__()
        self.shape = shape
        self.attn_norm = Norm(tensor("attn_norm"), shape.norm_epsilon)
        self.ffn_norm = Norm(tensor("ffn_norm"), shape.norm_epsilon)
        self.register_buffer("attn_qkv", torch.cat([tensor("attn_q"), tensor("attn_k"), tensor("attn_v")]))
        self.register_buffer("attn_output", tensor("attn_output"))
        self.register_buffer("ffn_gate_up", torch.cat([tensor("ffn_gate"), tensor("ffn_up")]))
        self.register_buffer("ffn_down", tensor("ffn_down"))
        for cache in ("keys", "values"):
            self.register_buffer(cache, self.attn_qkv.new_zeros(shape.heads_kv, context, shape.head))

    def forward(self, x, turns, attend):
        s = self.shape
        rows = product(self.attn_norm(x), self.attn_qkv).view(len(x), s.heads + 2 * s.heads_kv, s.head)
        query, key = turned(rows[:, :s.heads + s.heads_kv], turns).transpose(0, 1).split([s.heads, s.heads_kv])
        mixed = attend(self, query, key, rows[:, s.heads + s.heads_kv:].transpose(0, 1))
        x = x + product(mixed.reshape(len(x), s.heads * s.head), self.attn_output)
        gate, up = product(self.ffn_norm(x), self.ffn_gate_up).chunk(2, -1)
        return x + product(functional.silu(gate) * up, self.ffn_down)


def turned(rows, turns):
    """RoPE of [position, head, dimension] on neighbouring pairs, the layout of GGUF's Llama files."""
    cosines, sines = turns
    crossed = rows.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return (rows * cosines + crossed * sines).to(rows.dtype)


def attend_to_prompt(layer, query, key, value):
    positions, group = query.shape[1], layer.shape.heads // layer.shape.heads_kv
    layer.keys[:, :positions] = key
    layer.values[:, :positions] = value
    wide = [rows.repeat_interleave(group, 0).unsqueeze(0) for rows in (key, value)]
    return ATTENTION(query.unsqueeze(0), *wide, is_causal=True)[0].transpose(0, 1)


def attend_alone(layer, query, keys, values, mask=None):
    """One position: the queries that share a key head stand below each other, so that keys and values are not repeated."""
    s = layer.shape
    grouped = query.reshape(1, s.heads_kv, s.heads // s.heads_kv, s.head)
    return ATTENTION(grouped, keys.unsqueeze(0), values.unsqueeze(0), attn_mask=mask)


class Llama(nn.Module):
    """Each call returns the best token's id and the logits of its last row."""

    def __init__(self, model, shape, context, span, dtype, device):
        """context: positions that there is room for; span: those that a step of fixed shape looks at."""
        super().__init__()
        self.shape, self.span = shape, span

        def tensor(name):
            return read_values(model, name).to(device=device, dtype=dtype)

        self.register_buffer("embedding", tensor("token_embd.weight"))
        self.register_buffer("output", tensor("output.weight") if "output.weight" in model.tensors else self.embedding)
        self.output_norm = Norm(tensor("output_norm.weight"), shape.norm_epsilon)
        self.layers = nn.ModuleList(Layer(shape, context, lambda name, at=at: tensor(f"blk.{at}.{name}.weight"))
                                    for at in range(shape.layers))
        speeds = shape.rope_base ** (-torch.arange(0, shape.head, 2, dtype=torch.float64) / shape.head) / shape.rope_scale
        if "rope_freqs.weight" in model.tensors:
            speeds = speeds / read_values(model, "rope_freqs.weight").double()
        angles = torch.outer(torch.arange(context, dtype=torch.float64), speeds)
        sines = torch.stack([-angles.sin(), angles.sin()], -1).flatten(-2)
        self.register_buffer("cosines", angles.cos().repeat_interleave(2, -1).float().unsqueeze(1).to(device))
        self.register_buffer("sines", sines.float().unsqueeze(1).to(device))
        self.register_buffer("positions", torch.arange(span, device=device))

    def rows(self, tokens, at, attend):
        x = functional.embedding(tokens, self.embedding)
        turns = self.cosines[at], self.sines[at]
        for layer in self.layers:
            x = layer(x, turns, attend)
        logits = product(self.output_norm(x[-1:]), self.output)[0].float()
        return logits.argmax(), logits

    def prompt(self, tokens):
        return self.rows(tokens, slice(0, len(tokens)), attend_to_prompt)

    def step(self, token, position):
        """position: a number; attention looks at no more than there is."""
        def attend(layer, query, key, value):
            layer.keys[:, position:position + 1] = key
            layer.values[:, position:position + 1] = value
            return attend_alone(layer, query, layer.keys[:, :position + 1], layer.values[:, :position + 1])
        return self.rows(token, slice(position, position + 1), attend)

    def step_of_fixed_shape(self, token, position):
        """position: a tensor of one number, so that one recording serves all positions."""
        mask = (self.positions <= position).view(1, 1, 1, self.span)

        def attend(layer, query, key, value):
            layer.keys.index_copy_(1, position, key)
            layer.values.index_copy_(1, position, value)
            return attend_alone(layer, query, layer.keys[:, :self.span], layer.values[:, :self.span], mask)
        return self.rows(token, position, attend)
