"""Questions on a short text: who has what, who is where. Every sentence, in text, question and answer, is on one side of the split."""

from held_out import belongs
from stories import WORDS
from world import TOWNS

NAMES = [name for name, _ in WORDS["name"]]
COLOURS = [colour for colour, _ in WORDS["colour"]]
THINGS = [thing for thing, _ in WORDS["thing"]]
KINDS = [kind for kind, _ in WORDS["kind"]]
PLACES = ["in the garden", "at the market", "on the bridge", "in the kitchen", "at the mill", "on the beach", "in the forest",
          "at the station", "by the pond", "in the tower", "at the harbour", "on the hill", "in the library", "at school"]
FOODS = [food for food, _ in WORDS["food"]]

# How the text says it, and pairs of question and answer; {who} and {what} are what differs between its sentences.
SUBJECTS = {
    "having": ("{who} has a {what}.",
               [("Who has the {what}?", "It is {who} who has the {what}."),
                ("To whom does the {what} belong?", "The owner of the {what} is {who}."),
                ("Which thing does {who} have now?", "The thing that {who} has is the {what}."),
                ("Tell me what {who} has.", "What {who} has is a {what}.")]),
    "being": ("{who} is {what} today.",
              [("Who is {what}?", "It is {who} who is {what}."),
               ("Where is {who} at this time?", "At this time {who} is {what}."),
               ("Tell me where {who} is.", "Right now {who} is {what}."),
               ("Who of them can be found {what}?", "The one {what} is {who}.")]),
    "liking": ("{who} likes {what}.",
               [("Who likes {what}?", "It is {who} who likes {what}."),
                ("What does {who} like to eat?", "The food that {who} likes is {what}."),
                ("Tell me what {who} likes.", "What {who} likes is {what}."),
                ("Whose favourite food is {what}?", "The favourite food of {who} is {what}.")]),
}
FACTS = (2, 3, 3)
OPENING = "Listen: "


def _things(subject, rng):
    if subject == "having":
        return [f"{rng.choice(COLOURS)} {thing}" for thing in rng.sample(THINGS, len(THINGS))]
    kinds = PLACES if subject == "being" else FOODS
    return rng.sample(kinds, len(kinds))


def _facts(tell, subject, rng, held_out):
    """(sentence, who, what) of a text, all names and all things different, or fewer where none fits."""
    things, facts = _things(subject, rng), []
    for who in rng.sample(NAMES, rng.choice(FACTS)):
        opening = "" if facts else OPENING
        told = ((opening + tell.format(who=who, what=what), who, what) for what in things)
        fact = next((fact for fact in told if belongs(fact[0], held_out)), None)
        if fact:
            facts.append(fact)
            things.remove(fact[2])
    return facts


def write_talk(rng, held_out, questions_max):
    """Pairs of question and answer about one text, each about another thing; the text stands before the first question."""
    while True:
        subject = rng.choice(sorted(SUBJECTS))
        tell, asks = SUBJECTS[subject]
        facts = _facts(tell, subject, rng, held_out)
        pairs = []
        for _, who, what in rng.sample(facts, len(facts)):
            asked = [(ask.format(who=who, what=what), reply.format(who=who, what=what)) for ask, reply in asks]
            fit = [pair for pair in asked if all(belongs(text, held_out) for text in pair)]
            if fit and len(pairs) < questions_max:
                pairs.append(rng.choice(fit))
        if pairs and len(facts) >= min(FACTS):
            text = " ".join(sentence for sentence, _, _ in facts)
            return [(f"{text} {pairs[0][0]}", pairs[0][1])] + pairs[1:]


REPEATED_WORDS = (3, 8)  # fewest and most


def write_repeat(rng, held_out):
    """Some words to say again: practice in copying, which every other kind of question needs."""
    while True:
        words = " ".join(rng.choice(rng.choice((NAMES, COLOURS, THINGS, FOODS, TOWNS, KINDS))) for _ in range(rng.randint(*REPEATED_WORDS)))
        pair = f"Repeat: {words}.", f"You said: {words}."
        if all(belongs(text, held_out) for text in pair):
            return pair


def write_reading(rng, held_out):
    """(text and question, answer)."""
    return write_talk(rng, held_out, 1)[0]
