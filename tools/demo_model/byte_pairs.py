"""A byte-level BPE tokenizer: trained, applied, and written as llama.cpp's `gpt2` model with the pre-tokenizer `smollm`
(each digit is a word of its own, then GPT-2's pattern). The training text is ASCII, and so is what this encoder takes.
"""

import collections
import re

from documents import CONTROL

PRE_TOKENIZER = "smollm"
_DIGIT = re.compile(r"([0-9])")
_WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def words_of(text):
    for stretch in _DIGIT.split(text):
        if stretch:
            yield from [stretch] if stretch.isdigit() else _WORD.findall(stretch)


def byte_alphabet():
    """GPT-2's printable sign for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs, more = {byte: chr(byte) for byte in shown}, 256
    for byte in range(256):
        if byte not in signs:
            signs[byte] = chr(more)
            more += 1
    return signs


ALPHABET = byte_alphabet()


def train(texts, vocabulary):
    """Merges, most frequent pair first (ties: the alphabetically first), until the vocabulary is full."""
    counts = collections.Counter(word for text in texts for word in words_of(text))
    words = [([ALPHABET[byte] for byte in word.encode()], count) for word, count in sorted(counts.items())]
    merges = []
    while len(CONTROL) + len(ALPHABET) + len(merges) < vocabulary:
        pairs = collections.Counter()
        for parts, count in words:
            for pair in zip(parts, parts[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for parts, _ in words:
            _merge(parts, best)
    return merges


def _merge(parts, pair):
    index = 0
    while index + 1 < len(parts):
        if parts[index] == pair[0] and parts[index + 1] == pair[1]:
            parts[index:index + 2] = [pair[0] + pair[1]]
        index += 1


class Tokenizer:
    """Ids: control tokens, bytes, then one for each merge."""

    def __init__(self, merges):
        self.merges = [tuple(pair) for pair in merges]
        self.rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self.texts = list(CONTROL) + [ALPHABET[byte] for byte in range(256)] + [a + b for a, b in self.merges]
        self.ids = {text: number for number, text in enumerate(self.texts)}
        self.known = {}
        self.bytes = {sign: byte for byte, sign in ALPHABET.items()}

    def encode(self, text):
        ids = []
        for word in words_of(text):
            if word not in self.known:
                self.known[word] = self._encode_word(word)
            ids += self.known[word]
        return ids

    def _encode_word(self, word):
        parts = [ALPHABET[byte] for byte in word.encode()]
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.rank.get(pair, len(self.rank)))
            if best not in self.rank:
                break
            _merge(parts, best)
        return [self.ids[part] for part in parts]

    def encode_document(self, pieces):
        """(ids, learnt): parallel lists."""
        ids, learnt = [], []
        for text, counts in pieces:
            more = [self.ids[text]] if text in CONTROL else self.encode(text)
            ids += more
            learnt += [counts] * len(more)
        return ids, learnt

    def decode(self, ids):
        raw = bytearray()
        for number in ids:
            text = self.texts[number]
            raw += text.encode() if number < len(CONTROL) else bytes(self.bytes[sign] for sign in text)
        return raw.decode("utf-8", errors="replace")
