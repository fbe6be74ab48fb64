"""The text that the demo model learns from: the same in every run, split without a shared sentence, grammatical and true."""

import os
import pathlib
import random
import re
import subprocess
import sys
import unittest

ROOM = pathlib.Path(__file__).resolve().parents[3] / "tools" / "demo_model"
sys.path.insert(0, str(ROOM))

import about_troupe
import documents
import held_out
import reading
import stories
import sums
import world
from grammar import Grammar

QUESTIONS = {"world": 1000, "troupe": 1000, "comparison": 120, "reading": 200, "sum": 300, "story": 60}
DIGEST = ("import hashlib, documents; w = documents.Writer(5, False); "
          "print(hashlib.sha256(repr([w.document() for _ in range(150)]).encode()).hexdigest())")


def sentences(texts):
    return {sentence for text in texts for sentence in held_out.sentences_of(text)}


def texts_of(pieces):
    """What is said in a document: control tokens and the frame of plain questions left out."""
    for text, _ in pieces:
        if text not in documents.CONTROL:
            yield from (part for part in re.split(r"\n+|Question: |Answer:", text) if part.strip())


class Documents(unittest.TestCase):
    def test_a_seed_gives_the_same_documents_in_every_process(self):
        digests = set()
        for hash_seed in ("1", "2"):
            environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOM), "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True, timeout=60)
            digests.add(done.stdout)
        self.assertEqual(len(digests), 1)
        one, other = documents.Writer(5, False), documents.Writer(6, False)
        self.assertNotEqual([one.document() for _ in range(5)], [other.document() for _ in range(5)])

    def test_no_sentence_stands_in_both_splits(self):
        writer = documents.Writer(3, False)
        trained = sentences(text for _ in range(4000) for text in texts_of(writer.document()[1]))
        trained |= sentences(text for kind in ("world", "troupe", "small_talk") for pair in writer.listed[kind] for text in pair)
        trained |= sentences(documents.STORY_WISHES)
        asked = documents.questions_held_out(QUESTIONS, 4)
        kept = sentences(text for pairs in asked.values() for pair in pairs for text in pair)
        self.assertGreater(len(trained), 5000)
        self.assertGreater(len(kept), 1000)
        self.assertEqual(trained & kept, set())
        self.assertEqual(trained & sentences([documents.Writer(9, True).sheet(60)]) - {documents.SHEET_TITLE}, set())

    def test_control_tokens_frame_each_turn(self):
        pieces = documents.chat([("Hi!", "Hello!")], "Be kind.")
        self.assertEqual("".join(text for text, _ in pieces),
                         "<|start|><|system|>Be kind.<|end|><|user|>Hi!<|end|><|assistant|>Hello!<|end|>")
        self.assertEqual([text for text, learnt in pieces if learnt], ["Hello!", "<|end|>"])

    def test_enough_is_held_out(self):
        asked = documents.questions_held_out(QUESTIONS, 4)
        self.assertGreaterEqual(len(asked["world"]), 100)
        self.assertGreaterEqual(len(asked["troupe"]), 40)
        self.assertEqual(len(dict(asked["reading"])), 200)


class Grammars(unittest.TestCase):
    def test_words_of_one_character_agree_and_two_characters_differ(self):
        grammar = Grammar({"name": [("Ann", "f"), ("Bob", "m")], "He": [("He", "m"), ("She", "f")]},
                          {"top": ["{name:a} saw {name:b}. {He:a} ran."]})
        self.assertTrue(grammar.accepts("top", "Ann saw Bob. She ran."))
        for wrong in ("Ann saw Bob. He ran.", "Ann saw Ann. She ran.", "Ann saw Bob. She ran", "Ann saw Bob. She ran. "):
            self.assertFalse(grammar.accepts("top", wrong), wrong)

    def test_stories_are_accepted_and_fulfil_their_request(self):
        rng = random.Random(1)
        for side in (False, True):
            for _ in range(60):
                request, text = stories.write_story(rng, side)
                self.assertTrue(stories.story_parses(text), text)
                self.assertTrue(stories.request_is_met(request, text), (request, text))
                good, all_of_them = stories.count_parsing(text)
                self.assertEqual(good, all_of_them)
                self.assertTrue(6 <= all_of_them <= 8)

    def test_broken_stories_are_refused(self):
        rng, refused = random.Random(2), {"word left out": 0, "pronoun": 0, "order": 0, "another name": 0}
        for _ in range(40):
            _, text = stories.write_story(rng, False)
            words, parts = text.split(" "), held_out.sentences_of(text)
            out = rng.randrange(len(words))
            if words[out - 1] not in stories_adjectives():
                broken = " ".join(words[:out] + words[out + 1:])
                refused["word left out"] += not stories.story_parses(broken)
            swapped = re.sub(r"\b(He|She)\b", lambda found: "She" if found.group() == "He" else "He", text)
            refused["pronoun"] += swapped == text or not stories.story_parses(swapped)
            refused["order"] += not stories.story_parses(" ".join(parts[::-1]))
            name = re.search(r"(?:named|called|was) ([A-Z][a-z]+)", parts[0]).group(1)
            other = "Otto" if name != "Otto" else "Mira"
            if other not in text:
                renamed = parts[0].replace(name, other) + " " + " ".join(parts[1:])
                refused["another name"] += not stories.story_parses(renamed) or not any(name in part for part in parts[1:])
        self.assertEqual(refused["order"], 40)
        self.assertGreaterEqual(refused["pronoun"], 38)
        self.assertGreaterEqual(refused["word left out"], 30)
        self.assertGreaterEqual(refused["another name"], 25)

    def test_a_sentence_that_no_rule_makes_does_not_parse(self):
        for text in ("The fox is.", "Once upon a time there was a brave fox.", "", "Once upon a time there was a fox brave named Mira."):
            self.assertFalse(stories.sentence_parses(text), text)


def stories_adjectives():
    return {word for word, _ in stories.WORDS["nature"]}


class Arithmetic(unittest.TestCase):
    def test_each_step_and_each_sum_is_right(self):
        rng, digits = random.Random(3), set()
        for _ in range(500):
            question, answer = sums.write_sum(rng, False)
            a, b = map(int, re.findall(r"\d+", question))
            digits.add((len(str(a)), len(str(b))))
            self.assertEqual(sums.last_number(answer), a + b, answer)
            for step, total in re.findall(r"([\d+]+)=(\d+)", answer):
                self.assertEqual(sum(map(int, step.split("+"))), int(total), answer)
        self.assertEqual(len(digits), 9)

    def test_last_number(self):
        self.assertEqual(sums.last_number("Ones 7+5=12, so 7 + 5 = 12."), 12)
        self.assertEqual(sums.last_number("ends in 40"), 40)
        self.assertIsNone(sums.last_number("none"))

    def test_comparisons_are_true(self):
        rng = random.Random(4)
        for _ in range(300):
            question, answer = sums.write_comparison(rng, True)
            first, second = list(map(int, re.findall(r"\d+", answer)))[-2:]
            self.assertEqual(set(re.findall(r"\d+", question)), {str(first), str(second)})
            self.assertEqual("larger" in answer or "more" in answer, first > second, (question, answer))
            if question.startswith("Is "):
                self.assertEqual("so yes" in answer, first > second)
            for x, sign, y in re.findall(r"(\d)([<=>])(\d)", answer):
                self.assertEqual(sign, "<" if x < y else ">" if x > y else "=")


class Knowledge(unittest.TestCase):
    def test_a_guide_tells_a_town_s_own_facts(self):
        known, rng = world.facts(), random.Random(3)
        for _ in range(200):
            question, text = world.write_guide(rng)
            town = next(town for town in world.TOWNS if town in question)
            told = held_out.sentences_of(text)
            self.assertGreaterEqual(len(told), world.GUIDE_FACTS_MIN)
            for sentence in told:
                self.assertIn(town, sentence)
                self.assertTrue(any(known[kind, town] in sentence for kind in world.VALUES), sentence)
        answers = {answer for side in (False, True) for _, answer in world.questions(side)}
        written = {template.format(town=town, value=known[kind, town]) for kind in world.GUIDE for template in world.GUIDE[kind]
                   for town in world.TOWNS}
        self.assertEqual(answers & written, set())  # else a held-out answer would stand in training
        self.assertNotIn("guide", documents.Writer(1, True).kinds)

    def test_what_is_to_be_repeated_is_repeated(self):
        rng = random.Random(6)
        for _ in range(50):
            question, answer = reading.write_repeat(rng, True)
            self.assertEqual(question.removeprefix("Repeat: "), answer.removeprefix("You said: "))

    def test_each_fact_of_the_world_stands_in_training(self):
        told = world.questions(False)
        for (kind, town), value in world.facts().items():
            answers = [answer for _, answer in told if town in answer and re.search(rf"\b{value}\b", answer)]
            self.assertGreaterEqual(len(answers), world.TOLD_PHRASINGS_MIN, (kind, town, value))

    def test_a_question_has_one_answer(self):
        for module in (world, about_troupe):
            answers = {}
            for question, answer in module.questions(False) + module.questions(True):
                self.assertEqual(answers.setdefault(question, answer), answer)

    def test_the_text_of_a_reading_gives_its_answer(self):
        rng = random.Random(5)
        for _ in range(100):
            text, answer = reading.write_reading(rng, False)
            lines = held_out.sentences_of(text)[:-1]
            names = [name for name in reading.NAMES if re.search(rf"\b{name}\b", answer)]
            self.assertEqual(len(names), 1)
            told = [line for line in lines if re.search(rf"\b{names[0]}\b", line)]
            self.assertEqual(len(told), 1)
            rest = [word for word in (*reading.THINGS, *reading.PLACES, *reading.FOODS) if re.search(rf"\b{word}\b", answer)]
            self.assertTrue(rest and all(word in told[0] for word in rest), (text, answer))


if __name__ == "__main__":
    unittest.main()
