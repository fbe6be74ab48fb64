"""Training documents: stories, questions and sums, as a chat and as plain text, drawn from one random stream.

A document is a list of pieces (text or control token, learnt). What the user says is marked as not learnt: training counts it little.
"""

import random

import about_troupe
import reading
import stories
import sums
import world

START, END, USER, ASSISTANT, SYSTEM = CONTROL = ("<|start|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
KINDS = {"story": 12, "sum": 15, "comparison": 28, "world": 60, "guide": 20, "reading": 2, "troupe": 32, "repeat": 8, "small_talk": 3,
         "sheet": 4}  # documents drawn
OPENERS = ["Please tell me:", "A question:", "I want to know:", "Now tell me this:", "Dear model:", "Next:"]  # training alone
TRAINING_ALONE = ("guide", "small_talk")
OPENED = ("sum", "comparison", "world", "troupe")
SYSTEM_TEXTS = ["You are a helpful assistant.", "You are a small model.", "Answer in one sentence.", "Be kind and brief."]
STORY_WISHES = ["Tell me a story.", "Please tell me a short story.", "Write a story.", "Can you tell me a story?"]  # training alone
TURNS_MAX = 4
SHEET_TITLE = "Stories and questions"  # opens a plain text of several documents, without control tokens between them


class Writer:
    """Draws (question, answer) pairs and documents of one side of the split."""

    def __init__(self, seed, held_out):
        self.rng = random.Random(seed)
        self.held_out = held_out
        self.listed = {"world": world.questions(held_out), "troupe": about_troupe.questions(held_out),
                       "small_talk": about_troupe.small_talk()}
        self.drawn = {"story": stories.write_story, "sum": sums.write_sum, "comparison": sums.write_comparison,
                      "reading": reading.write_reading, "repeat": reading.write_repeat,
                      "guide": lambda rng, _: world.write_guide(rng)}
        self.kinds = [kind for kind in KINDS if kind != "sheet" and not (held_out and kind in TRAINING_ALONE)]

    def pair(self, kind):
        if kind in self.listed:
            pair = self.rng.choice(self.listed[kind])
        else:
            pair = self.drawn[kind](self.rng, self.held_out)
        if kind in OPENED and not self.held_out and self.rng.random() < 0.4:
            pair = f"{self.rng.choice(OPENERS)} {pair[0]}", pair[1]
        return pair

    def kind(self):
        return self.rng.choices(self.kinds, [KINDS[kind] for kind in self.kinds])[0]

    def document(self, kind=None):
        """(kind, pieces)."""
        if kind == "sheet" or kind is None and self.rng.randrange(sum(KINDS.values())) < KINDS["sheet"]:
            return "sheet", [(START, False), (self.sheet(self.rng.randrange(2, 5)), True), (END, True)]
        kind = kind or self.kind()
        pair = self.pair(kind)
        if kind == "story" and not self.held_out and self.rng.random() < 0.1:
            pair = self.rng.choice(STORY_WISHES), pair[1]
        if kind in ("story", "guide") and self.rng.random() < 0.4:
            return kind, [(START, False), (pair[1], True), (END, True)]
        if kind == "reading" and self.rng.random() < 0.7:
            return kind, chat(reading.write_talk(self.rng, self.held_out, TURNS_MAX))
        if kind != "small_talk" and self.rng.random() < 0.5:
            return kind, plain(*pair)
        pairs = [pair]
        if kind != "story" and self.rng.random() < 0.2:
            pairs += [self.pair(self._short_kind()) for _ in range(self.rng.randrange(1, TURNS_MAX))]
        system = self.rng.choice(SYSTEM_TEXTS) if self.rng.random() < 0.05 and not self.held_out else None
        return kind, chat(pairs, system)

    def sheet(self, count):
        """Plain text: stories, and questions with their answers."""
        texts = [SHEET_TITLE]
        for _ in range(count):
            question, answer = self.pair(kind := self.kind())
            texts.append(answer if kind == "story" else f"Question: {question}\nAnswer: {answer}")
        return "\n\n".join(texts)

    def _short_kind(self):
        while (kind := self.kind()) == "story":
            pass
        return kind


def plain(question, answer):
    return [(START, False), (f"Question: {question}\nAnswer:", False), (" " + answer, True), (END, True)]


def chat(pairs, system=None):
    pieces = [(START, False)]
    if system is not None:
        pieces += [(SYSTEM, False), (system, False), (END, False)]
    for question, answer in pairs:
        pieces += [(USER, False), (question, False), (END, False), (ASSISTANT, False), (answer, True), (END, True)]
    return pieces


def questions_held_out(counts, seed):
    """kind -> that many different (question, answer) of the held-out side, fewer where a kind has fewer."""
    writer, chosen = Writer(seed, True), {}
    for kind, count in counts.items():
        if kind in writer.listed:
            pairs = writer.listed[kind][:]
            writer.rng.shuffle(pairs)
            chosen[kind] = pairs[:count]
            continue
        pairs = {}
        while len(pairs) < count:
            question, answer = writer.pair(kind)
            pairs[question] = answer
        chosen[kind] = list(pairs.items())
    return chosen
