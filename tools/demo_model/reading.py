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
               [("Who has the {what}?", "{who} has the {what}."),
                ("To whom does the {what} belong?", "It is {who} who has the {what}."),
                ("Which thing does {who} have now?", "{who} has the {what} now."),
                ("Tell me what {who} has.", "What {who} has is a {what}.")]),
    "being": (["{who} is {what} today.", "You can find {who} {what}.", "{who} waits {what}."],
              [("Who is {what}?", "It is {who} who is {what}."),
               ("Where is {who} right now?", "{who} is {what}."),
               ("Tell me where {who} is.", "Right now {who} is {what}."),
               ("Who of them can be found {what}?", "The one {what} is {who}.")]),
    "liking": (["{who} likes {what}.", "{who} always eats {what}.", "There is nothing that {who} likes more than {what}."],
               [("Who likes {what}?", "It is {who} who likes {what}."),
                ("What does {who} like to eat?", "{who} likes to eat {what}."),
                ("Tell me what {who} eats.", "{who} eats {what}."),
                ("Whose favourite food is {what}?", "The favourite food of {who} is {what}.")]),
}


def _what(subject, rng, count):
    if subject == "having":
        things = rng.sample(THINGS, count)
        return [f"{rng.choice(COLOURS)} {thing}" for thing in things]
    return rng.sample(PLACES if subject == "being" else FOODS, count)


def write_reading(rng, held_out):
    """(text and question, answer)."""
    while True:
        subject = rng.choice(sorted(SUBJECTS))
        tells, asks = SUBJECTS[subject]
        count = rng.choice((2, 3, 3, 4))
        facts = list(zip(rng.sample(NAMES, count), _what(subject, rng, count)))
        who, what = rng.choice(facts)
        ask, reply = rng.choice(asks)
        question, answer = ask.format(who=who, what=what), reply.format(who=who, what=what)
        if not (belongs(question, held_out) and belongs(answer, held_out)):
            continue
        lines = []
        for one, other in facts:
            fit = [line for tell in tells if belongs(line := tell.format(who=one, what=other), held_out)]
            if not fit:
                break
            lines.append(rng.choice(fit))
        else:
            return " ".join(lines) + " " + question, answer
