"""A small Llama in torch: RMSNorm, RoPE on neighbouring pairs as llama.cpp and troupe turn them, grouped-query attention, SwiGLU, tied
embeddings. Written for two CPU cores: what counts there beside the products is the passes over memory.

Tokens are [batch, position]; logits are [batch, position, vocabulary].
"""

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Shape:
    vocabulary: int
    embedding: int = 256
    layers: int = 4
    heads: int = 4
    heads_kv: int = 2
    feed_forward: int = 512
    context: int = 512
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head(self):
        return self.embedding // self.heads


class Evened(torch.autograd.Function):
    """x / rms(x); written out because torch's own backward takes twice the passes over memory."""

    @staticmethod
    def forward(context, x, epsilon):
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        y = x * inverse
        context.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(context, gradient):
        y, inverse = context.saved_tensors
        shared = torch.einsum("...d,...d->...", gradient, y).div_(-y.shape[-1]).unsqueeze(-1)
        return torch.addcmul(gradient, y, shared).mul_(inverse), None


class Norm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.embedding))
        self.epsilon = shape.norm_epsilon

    def forward(self, x):
        return Evened.apply(x, self.epsilon) * self.weight


def turned(rows, heads, turns):
    """RoPE of rows [batch, position, heads * head]: each pair of neighbours times its turn, a complex number."""
    batch, positions, width = rows.shape
    pairs = torch.view_as_complex(rows.view(batch, positions, heads, width // heads // 2, 2))
    return torch.view_as_real(pairs * turns).view(batch, positions, heads, width // heads)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        d, kv, ff = shape.embedding, shape.heads_kv * shape.head, shape.feed_forward
        self.attn_norm = Norm(shape)
        self.attn_q = nn.Linear(d, d, bias=False)
        self.attn_k = nn.Linear(d, kv, bias=False)
        self.attn_v = nn.Linear(d, kv, bias=False)
        self.attn_output = nn.Linear(d, d, bias=False)
        self.ffn_norm = Norm(shape)
        self.ffn_gate = nn.Linear(d, ff, bias=False)
        self.ffn_up = nn.Linear(d, ff, bias=False)
        self.ffn_down = nn.Linear(ff, d, bias=False)

    def matrices(self):
        return [self.attn_q, self.attn_k, self.attn_v, self.attn_output, self.ffn_gate, self.ffn_up, self.ffn_down]

    def attention(self, x, turns, mask):
        s = self.shape
        batch, positions, d = x.shape
        group = s.heads // s.heads_kv
        # The queries that share a key head stand one below the other: one product per key head.
        q = turned(self.attn_q(x), s.heads, turns).transpose(1, 2).reshape(batch * s.heads_kv, group * positions, s.head)
        k = turned(self.attn_k(x), s.heads_kv, turns).transpose(1, 2).reshape(batch * s.heads_kv, positions, s.head)
        v = self.attn_v(x).view(batch, positions, s.heads_kv, s.head).transpose(1, 2).reshape(k.shape)
        scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=1 / math.sqrt(s.head))
        mixed = torch.bmm(torch.softmax(scores, -1), v).view(batch, s.heads, positions, s.head)
        return self.attn_output(mixed.transpose(1, 2).reshape(batch, positions, d))

    def forward(self, x, turns, mask):
        x = x + self.attention(self.attn_norm(x), turns, mask)
        h = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.embedding)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape)
        nn.init.normal_(self.token_embd.weight, std=0.05)
        for block in self.blocks:
            for matrix in block.matrices():
                nn.init.normal_(matrix.weight, std=shape.embedding ** -0.5)
            for matrix in (block.attn_output, block.ffn_down):
                nn.init.normal_(matrix.weight, std=(2 * shape.layers * matrix.weight.shape[1]) ** -0.5)
        speeds = shape.rope_base ** (-torch.arange(0, shape.head, 2, dtype=torch.float64) / shape.head)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float64), speeds)
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles).to(torch.complex64).unsqueeze(1), persistent=False)
        hidden = torch.full((shape.context, shape.context), -1e9).triu(1)
        self.register_buffer("hidden", hidden, persistent=False)

    def mask(self, positions, documents):
        """[batch * heads_kv, queries of one key head, position], or one for all rows: 0 where a query sees a key, else a large negative."""
        s = self.shape
        mask = self.hidden[:positions, :positions]
        if documents is not None:
            mask = mask.masked_fill(documents.unsqueeze(2) != documents.unsqueeze(1), -1e9)
            mask = mask.repeat_interleave(s.heads_kv, 0)
        return mask.repeat(*[1] * (mask.dim() - 2), s.heads // s.heads_kv, 1)

    def forward(self, tokens, documents=None):
        """documents: [batch, position], the number of the document that a token belongs to; a token sees only its own."""
        positions = tokens.shape[1]
        turns, mask = self.turns[:positions], self.mask(positions, documents)
        x = self.token_embd(tokens)
        for block in self.blocks:
            x = block(x, turns, mask)
        return functional.linear(self.output_norm(x), self.token_embd.weight)

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())
