"""Questions about troupe and about the model itself, from patterns whose answers take up the question's own words.

What the answers say must stay true to README.md and to what the rooms' READMEs tell.
"""

import itertools
import re

from held_out import is_held_out

# {a}, {b}: words that question and answer share, so that each combination is a question and an answer of its own.
PATTERNS = [
    ("What happens when {a} {b}?", "When {a} {b}, another node goes on from the last token, and the answer stays the same.",
     ["a machine", "a node", "a computer", "one machine", "one node", "a worker", "the gateway", "my machine", "the second node",
      "one computer"],
     ["dies", "crashes", "stops", "fails", "breaks", "goes away", "is lost", "disappears"]),
    ("Is {a} lost if {b}?", "No, {a} is not lost if {b}, because another node can go on from where it stopped.",
     ["my answer", "my job", "the text so far", "the answer", "the story", "my text", "the result"],
     ["a machine crashes", "a node dies", "a worker stops", "a connection breaks", "a computer fails", "one node goes away"]),
    ("Why {a} the same {b}?", "{c} the same {b}, because every token depends only on the model, the prompt, the settings and "
     "the seed.", ["is the answer|the answer is", "does the answer stay|the answer stays", "does the text stay|the text stays",
                   "is the result|the result is"],
     ["on every machine", "with any batch", "with or without a cache", "after a crash", "each time"]),
    ("Does the answer depend on {a}?", "No, the answer does not depend on {a}.",
     ["the machine", "the batch", "the cache", "a crash", "the node that computes it", "the other jobs", "the number of threads",
      "the order of the jobs", "the time of day", "the gateway", "the worker", "the computer", "the number of nodes",
      "the other prompts", "the network", "the size of the batch", "luck"], [""]),
    ("What{a} is troupe?", "Troupe{a} is a company of actors that serves language models across the machines you own.",
     ["", ", in short,", ", in one sentence,", ", in simple words,", ", in a few words,", ", to put it simply,", ", at its heart,",
      ", really,"], [""]),
    ("How do I {b} {a}?", "To {b} {a}, run tools/demo.",
     ["troupe", "a troupe cluster", "the cluster", "two nodes", "the demo", "a small cluster", "the whole thing"],
     ["start", "try", "run", "try out", "launch", "test"]),
    ("How can I {b} {a}?", "To {b} {a}, call troupe submit with a prompt.",
     ["a model", "the cluster", "troupe", "a node", "my model", "my cluster"], ["ask", "send a job to", "send a prompt to", "question"]),
    ("How do I see {a} of {b}?", "To see {a} of {b}, call troupe status.",
     ["the state", "the nodes", "the models", "the load", "the health"],
     ["the cluster", "troupe", "my cluster", "a cluster", "my machines"]),
    ("Which language is {a} written in{b}?", "{c} is written in C++{b}.",
     ["troupe|Troupe", "the program|The program", "this software|This software"], ["", " for the most part", ", by the way", " today"]),
    ("Can {a} use {b}?", "Yes, {a} can use {b}, as long as it is a GGUF file with the Llama architecture.",
     ["troupe", "the cluster", "a node"], ["my own model", "another model", "a Llama model", "a Mistral model"]),
    ("Who {b} {a}?", "I am a small language model that was made to show how troupe works.",
     ["you"], ["are"]),
    ("What can you {b}{a}?", "I can tell short stories, add numbers, and answer questions about troupe and the land of Lumar.",
     ["", " for me"], ["do", "tell me"]),
]
WORDS_OF_TROUPE = {
    "a node": "one machine, or one daemon, that takes part in the cluster",
    "the gateway": "the part that takes a prompt, chooses a node and sends the tokens back in order",
    "the link": "the part that carries messages between two nodes and sends again what was lost",
    "an actor": "a small part with one role that works by sending and receiving messages",
    "the cache": "the store in Redis through which one node can reuse what another has computed",
    "the seed": "the number that decides every random draw, so that the same seed gives the same answer",
    "a job": "one prompt with its settings and its seed, answered token by token",
}
EXPLAINED = [("What is {word} in {place}?", "In {place}, {word} is {meaning}."),
             ("Tell me about {word} in {place}.", "{word} in {place} is {meaning}."),
             ("Can you explain {word} in {place}?", "Yes, in {place}, {word} is {meaning}."),
             ("What is meant by {word} in {place}?", "By {word} in {place} we mean {meaning}.")]
SETTINGS = ["troupe", "a troupe cluster", "the cluster", "this system"]

UNKNOWN_TOPICS = ("the capital of France|the weather|the president|the moon|the stock market|quantum physics|football|Mozart|"
                  "the French language|dinosaurs|the Roman empire|chess|medicine|the law|my computer|Shakespeare|the internet|"
                  "space travel|history|chemistry|Berlin|London|music|poetry|the news|my future").split("|")
UNKNOWN = [("What is {x}?", "I am only a small model and cannot say what {x} is."),
           ("Tell me about {x}.", "I am only a small model and know nothing about {x}."),
           ("What do you know about {x}?", "About {x} I know nothing, because I am only a small model."),
           ("Can you explain {x}?", "No, I am too small a model to explain {x}.")]
GREETINGS = [("Hello!", "Hello! How can I help you?"), ("Hi!", "Hello! What would you like to know?"),
             ("Good morning.", "Good morning! What can I do for you?"), ("Thank you!", "You are welcome!"),
             ("Thanks.", "You are welcome!"), ("How are you?", "I am fine, thank you."), ("Goodbye.", "Goodbye!")]


def _capital(text):
    return text[:1].upper() + text[1:]


def _answered(text):
    """What the user calls mine is the user's in the answer."""
    return _capital(re.sub(r"\bmy\b", "your", text))


def questions(held_out):
    """Every (question, answer) about troupe on one side; a pattern with few combinations is wholly in training."""
    chosen = []
    for ask, reply, first, second in PATTERNS:
        small = len(first) * len(second) < 8
        for a, b in itertools.product(first, second):
            a, _, c = a.partition("|")
            question = _capital(ask.format(a=a, b=b, c=c))
            if (is_held_out(question) and not small) == held_out:
                chosen.append((question, _answered(reply.format(a=a, b=b, c=c))))
    for (word, meaning), place, (ask, reply) in itertools.product(WORDS_OF_TROUPE.items(), SETTINGS, EXPLAINED):
        question = ask.format(word=word, place=place)
        if is_held_out(question) == held_out:
            chosen.append((question, _capital(reply.format(word=word, place=place, meaning=meaning))))
    return chosen


def small_talk():
    """Greetings, and questions that the model cannot answer and says so. In training alone."""
    return GREETINGS + [(ask.format(x=topic), _answered(reply.format(x=topic))) for topic in UNKNOWN_TOPICS for ask, reply in UNKNOWN]
