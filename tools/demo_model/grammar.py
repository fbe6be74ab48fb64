"""A small grammar engine: the same rules write sentences and accept them.

RULES maps a symbol to its alternatives. In an alternative, {word} stands for any word of a category or any text of a symbol;
{category:who} is bound: it is the same word wherever the story says {category:who}, and two bound names of one category differ.
Words may have a gender; words bound to one `who` agree in it, so {He:hero} is "She" where the hero is called Mira.
"""

import re

_PART = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Grammar:
    """words: category -> list of (text, gender or None). rules: symbol -> list of alternatives."""

    def __init__(self, words, rules):
        self.words = words
        self.rules = {symbol: [self._parts(text) for text in texts] for symbol, texts in rules.items()}

    def _parts(self, text):
        parts, at = [], 0
        for found in _PART.finditer(text):
            if found.start() > at:
                parts.append(text[at:found.start()])
            parts.append((found.group(1), found.group(2)))
            at = found.end()
        if at < len(text):
            parts.append(text[at:])
        return parts

    def _bind(self, bound, category, who, word):
        """bound with this word, or None where it would contradict what is bound."""
        text, gender = word
        if who is None:
            return bound
        known = bound.get((category, who))
        if known is not None and known != text:
            return None
        if gender is not None and bound.get(("gender", who), gender) != gender:
            return None
        if known is None and any(value == text for (other, name), value in bound.items() if other == category and name != who):
            return None
        more = dict(bound)
        if not category[:1].isupper() and category not in ("he", "him", "his"):
            more[category, who] = text
        if gender is not None:
            more["gender", who] = gender
        return more

    def write(self, symbol, bound, rng):
        """(text, bound) of one random derivation."""
        text = ""
        for part in rng.choice(self.rules[symbol]):
            if isinstance(part, str):
                text += part
            elif part[0] in self.rules:
                piece, bound = self.write(part[0], bound, rng)
                text += piece
            else:
                fits = [(word, more) for word in self.words[part[0]] if (more := self._bind(bound, *part, word)) is not None]
                word, bound = rng.choice(fits)
                text += word[0]
        return text, bound

    def match(self, symbol, text, at=0, bound=None):
        """Every (end, bound) up to which the symbol derives the text from `at`."""
        for parts in self.rules[symbol]:
            yield from self._match_parts(parts, 0, text, at, bound or {})

    def _match_parts(self, parts, index, text, at, bound):
        if index == len(parts):
            yield at, bound
            return
        part = parts[index]
        if isinstance(part, str):
            if text.startswith(part, at):
                yield from self._match_parts(parts, index + 1, text, at + len(part), bound)
        elif part[0] in self.rules:
            for end, more in self.match(part[0], text, at, bound):
                yield from self._match_parts(parts, index + 1, text, end, more)
        else:
            for word in self.words[part[0]]:
                if text.startswith(word[0], at) and (more := self._bind(bound, *part, word)) is not None:
                    yield from self._match_parts(parts, index + 1, text, at + len(word[0]), more)

    def accepts(self, symbol, text):
        return any(end == len(text) for end, _ in self.match(symbol, text))
