"""Questions on a short text: who has what, who is where. Every sentence, in text, question and answer, is on one side of the split."""

from held_out import belongs
from stories import WORDS

NAMES = [name for name, _ in WORDS["name"]]
COLOURS = [colour for colour, _ in WORDS["colour"]]
THINGS = [thing for thing, _ in WORDS["thing"]]
PLACES = ["in the garden", "at the market", "on the bridge", "in the kitchen", "at the mill", "on the beach", "in the forest",
          "at the station", "by the pond", "in the tower", "at the harbour", "on the hill", "in the library", "at school"]
FOODS = [food for food, _ in WORDS["food"]]

# What the text says, and pairs of question and answer about it; {who} and {what} are what differs between its sentences.
SUBJECTS = {
    "having": (["{who} has a {what}.", "The {what} belongs to {who}.", "{who} carries a {what}."],
               [("Who has the {what}?", "It is {who} who has the {what}."),
                ("To whom does the {what} belong?", "The owner of the {what} is {who}."),
                ("Which thing does {who} have now?", "The thing that {who} has is the {what}."),
                ("Tell me what {who} has.", "What {who} has is a {what}.")]),
    "being": (["{who} is {what} today.", "You can find {who} {what}.", "{who} waits {what}."],
              [("Who is {what}?", "It is {who} who is {what}."),
               ("Where is {who} at this time?", "At this time {who} is {what}."),
               ("Tell me where {who} is.", "Right now {who} is {what}."),
               ("Who of them can be found {what}?", "The one {what} is {who}.")]),
    "liking": (["{who} likes {what}.", "{who} always eats {what}.", "There is nothing that {who} likes more than {what}."],
               [("Who likes {what}?", "It is {who} who likes {what}."),
                ("What does {who} like to eat?", "The food that {who} likes is {what}."),
                ("Tell me what {who} eats.", "What {who} eats is {what}."),
                ("Whose favourite food is {what}?", "The favourite food of {who} is {what}.")]),
}
FACTS = (2, 3, 3, 4)


def _what(subject, rng, count):
    if subject == "having":
        things = rng.sample(THINGS, count)
        return [f"{rng.choice(COLOURS)} {thing}" for thing in things]
    return rng.sample(PLACES if subject == "being" else FOODS, count)


def _text(rng, tells, facts, held_out):
    """The text, or None where a fact has no sentence on that side."""
    lines = []
    for who, what in facts:
        opening = "" if lines else "Listen: "
        fit = [line for tell in tells if belongs(line := opening + tell.format(who=who, what=what), held_out)]
        if not fit:
            return None
        lines.append(rng.choice(fit))
    return " ".join(lines)


def write_talk(rng, held_out, questions_max):
    """Pairs of question and answer about one text, each about another thing; the text stands before the first question."""
    while True:
        subject = rng.choice(sorted(SUBJECTS))
        tells, asks = SUBJECTS[subject]
        count = rng.choice(FACTS)
        facts = list(zip(rng.sample(NAMES, count), _what(subject, rng, count)))
        pairs = []
        for who, what in rng.sample(facts, count):
            asked = [(ask.format(who=who, what=what), reply.format(who=who, what=what)) for ask, reply in asks]
            fit = [pair for pair in asked if all(belongs(text, held_out) for text in pair)]
            if fit and len(pairs) < questions_max:
                pairs.append(rng.choice(fit))
        text = pairs and _text(rng, tells, facts, held_out)
        if text:
            return [(f"{text} {pairs[0][0]}", pairs[0][1])] + pairs[1:]


def write_reading(rng, held_out):
    """(text and question, answer)."""
    return write_talk(rng, held_out, 1)[0]
