"""The invented land of Lumar: twenty towns with seven facts each, asked for in several ways.

A question and its answer share a phrasing, so a held-out (town, fact, phrasing) has a question and an answer that training never
shows, while the fact itself stands in training in other words.
"""

import random

from held_out import is_held_out

TOWNS = ("Arvel Brisk Corran Delmar Eska Farrow Gildan Holm Iskar Jarrow Kelda Lumen Marrin Nessel Ostra Pellin Quarn Rundle "
         "Selby Tarn").split()
VALUES = {
    "river": "Ald Bren Cray Dove Elm Foss Glim Hest Inna Jor Kell Loam Mure Nith Orrin Pell Quill Rush Sorn Thyme".split(),
    "mayor": ("Abel Berta Cora Dario Edda Felix Gerda Henrik Ilse Jakob Kira Linus Marta Nils Olga Paul Rosa Stefan Thea "
              "Viktor").split(),
    "animal": ("heron stag salmon falcon wolf beaver lynx swan boar raven trout horse turtle eagle squirrel crane seal bison "
               "weasel stork").split(),
    "flag": "red blue green yellow white black purple orange".split() * 3,
    "dish": "fish soup|apple pie|dark bread|goat cheese|honey cake|onion stew|pear jam|smoked eel|barley beer|mint tea".split("|") * 2,
    "craft": "clocks|glass|ropes|carpets|bells|paper|candles|boots|barrels|lutes".split("|") * 2,
    "lies": "by the sea|in the mountains|in the forest|on an island|in the plains".split("|") * 4,
}
PHRASINGS = {
    "river": [("Which river flows through {town}?", "The river {value} flows through {town}."),
              ("What is the name of the river in {town}?", "The name of the river in {town} is {value}."),
              ("On which river does {town} stand?", "{town} stands on the river {value}."),
              ("Tell me which river {town} has.", "{town} has the river {value}."),
              ("What do they call the river of {town}?", "They call the river of {town} the {value}.")],
    "mayor": [("Who is the mayor of {town}?", "The mayor of {town} is {value}."),
              ("What is the mayor of {town} called?", "The mayor of {town} is called {value}."),
              ("Who leads the town of {town}?", "{value} leads the town of {town}."),
              ("Tell me who governs {town}.", "{town} is governed by {value}."),
              ("Which town has {value} as its mayor?", "The town with {value} as its mayor is {town}.")],
    "animal": [("Which animal is on the flag of {town}?", "The animal on the flag of {town} is the {value}."),
               ("What animal stands for {town}?", "The {value} stands for {town}."),
               ("Tell me the animal of {town}.", "The animal of {town} is the {value}."),
               ("What does the seal of {town} show?", "The seal of {town} shows a {value}."),
               ("Which town has the {value} as its animal?", "It is {town} that has the {value} as its animal.")],
    "flag": [("What colour is the flag of {town}?", "The flag of {town} is {value}."),
             ("Which colour does the flag of {town} have?", "The colour of the flag of {town} is {value}."),
             ("Tell me the colour of {town}.", "The colour of {town} is {value}."),
             ("In which colour does {town} paint its flag?", "{town} paints its flag {value}."),
             ("What colour do the people of {town} fly?", "The people of {town} fly {value}.")],
    "dish": [("What food is {town} famous for?", "{town} is famous for its {value}."),
             ("What do people like to eat and drink in {town}?", "In {town} people like {value} best."),
             ("Which treat comes from {town}?", "The treat that comes from {town} is {value}."),
             ("What should I try when I visit {town}?", "When you visit {town}, try the {value}."),
             ("Tell me what the kitchens of {town} are known for.", "The kitchens of {town} are known for {value}.")],
    "craft": [("What is made in {town}?", "In {town} they make {value}."),
              ("What do the workshops of {town} make?", "The workshops of {town} make {value}."),
              ("Which goods does {town} sell?", "The goods that {town} sells are {value}."),
              ("What can I buy in {town}?", "You can buy {value} in {town}."),
              ("Tell me what the people of {town} build.", "The people of {town} build {value}.")],
    "lies": [("Where does {town} lie?", "{town} lies {value}."),
             ("In what place was {town} built?", "{town} was built {value}."),
             ("Where can I find {town}?", "You can find {town} {value}."),
             ("Tell me where {town} is.", "The town of {town} is {value}."),
             ("Where do the people of {town} live?", "The people of {town} live {value}.")],
}
# What a guide says of a town, from both ends: in training alone.
GUIDE = {
    "river": ["The river of {town} is called {value}.", "Boats on the {value} stop at {town}.", "{town} drinks the water of the {value}."],
    "mayor": ["{value} is the mayor of {town}.", "The people of {town} chose {value} as mayor.", "The mayor, {value}, was born in {town}."],
    "animal": ["Over the gate of {town} one sees a {value}.", "The {value} is the animal of {town}.", "{town} is proud of its {value}."],
    "flag": ["The flag that flies over {town} is {value}.", "A flag that is {value} means {town}.", "{town} has a {value} flag."],
    "dish": ["The {value} of {town} is famous.", "Cooks in {town} make {value}.", "Visitors of {town} ask for {value}."],
    "craft": ["The {value} of {town} are sold everywhere.", "Many people in {town} make {value}.", "{town} lives from its {value}."],
    "lies": ["{town} stands {value}.", "The houses of {town} were built {value}.", "One finds the town of {town} {value}."],
}
GUIDE_QUESTIONS = ["Describe {town}.", "What can you tell me about {town}?", "I have never been to {town}.", "What is {town} like?"]
GUIDE_FACTS_MIN = 4
TOLD_PHRASINGS_MIN = 3  # of each fact, this many phrasings stand in training


def facts():
    """(kind, town) -> value; the same in every run."""
    known = {}
    for kind, values in VALUES.items():
        order = random.Random("Lumar " + kind)
        drawn = values[:]
        order.shuffle(drawn)
        known.update({(kind, town): value for town, value in zip(TOWNS, drawn)})
    return known


def questions(held_out):
    """Every (question, answer) of one side."""
    chosen = []
    for (kind, town), value in sorted(facts().items()):
        held = [phrasing for phrasing in PHRASINGS[kind] if is_held_out(phrasing[0].format(town=town, value=value))]
        held = held[:len(PHRASINGS[kind]) - TOLD_PHRASINGS_MIN]
        for phrasing in PHRASINGS[kind]:
            if (phrasing in held) == held_out:
                chosen.append(tuple(text.format(town=town, value=value) for text in phrasing))
    return chosen


def write_guide(rng):
    """(question, text with some of a town's facts); in training alone."""
    town, known = rng.choice(TOWNS), facts()
    kinds = rng.sample(sorted(GUIDE), rng.randint(GUIDE_FACTS_MIN, len(GUIDE)))
    told = [rng.choice(GUIDE[kind]).format(town=town, value=known[kind, town]) for kind in kinds]
    return rng.choice(GUIDE_QUESTIONS).format(town=town), " ".join(sentence[:1].upper() + sentence[1:] for sentence in told)
