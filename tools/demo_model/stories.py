"""Short stories of six to eight sentences: a grammar of four plots, its writer and its acceptor."""

from grammar import Grammar
from held_out import is_held_out, sentences_of


def plain(text):
    return [(word.strip(), None) for word in text.split("|")]


def by_gender(he, she):
    return [(word.strip(), "m") for word in he.split("|")] + [(word.strip(), "f") for word in she.split("|")]


WORDS = {
    "name": by_gender("Otto|Finn|Hugo|Emil|Karl|Jonas|Pip|Tom|Bruno|Leo|Max|Sven",
                      "Mira|Lena|Tilda|Nora|Ada|Runa|Ivy|Elsa|Wanda|Greta|Faye|Zoe"),
    "he": by_gender("he", "she"), "He": by_gender("He", "She"), "him": by_gender("him", "her"), "his": by_gender("his", "her"),
    "kind": plain("fox|bear|hare|mouse|wolf|hedgehog|goat|badger|cat|dog|duck|frog"),
    "nature": plain("little|kind|brave|shy|clever|cheerful|quiet|curious|patient|young"),
    "colour": plain("red|blue|green|yellow|golden|silver|wooden|tiny|round|shiny"),
    "thing": plain("boat|kite|ball|bell|drum|lamp|hat|key|book|cup|coin|spoon"),
    "home": plain("by the river|under a big oak|near the mill|at the edge of the forest|on a green hill|behind the lighthouse|"
                  "in a small valley|next to the bridge|close to the sea|beside a quiet pond|in the middle of a meadow|"
                  "at the foot of the mountain"),
    "spot": plain("under the bed|behind the stove|in the garden|on the roof|in the barn|under the stairs|behind the well|"
                  "in the tall grass|among the apple trees|under the table|near the fence|in the old cart|on the window sill|"
                  "between two stones|in the cellar|behind the door"),
    "time": plain("One morning|One sunny day|One evening|On a rainy day|One windy afternoon|Early in spring|Late in summer|"
                  "On a cold day|One quiet night|After breakfast"),
    "sad": plain("sad|unhappy|worried|upset|so quiet|in tears"),
    "glad": plain("happy|glad|proud|full of joy|very pleased|delighted"),
    "slowly": plain("slowly|carefully|quietly|at once|bravely|gently|quickly|with a smile"),
    "skill": plain("swim|sing|dance|whistle|paint|sail|bake bread|climb trees|play the flute|tell jokes|juggle|skate"),
    "trouble": plain("in a deep hole|on a high rock|on a small island|in a tall tree|on a thin branch|behind a locked gate|"
                     "in a muddy ditch|on the far bank|in a dark cave|under a heavy branch"),
    "tool": plain("rope|ladder|raft|plank|lantern|basket|hammer|saw|net|hook"),
    "food": plain("bread|soup|honey|apples|cheese|berries|pancakes|nuts|plum cake|carrots"),
    "until": plain("until the sun went down|until the stars came out|until it was dark|all afternoon|the whole evening|"
                   "until the moon rose|until midnight|for a long time"),
}

# Two or more characters: hero and friend. A line is one sentence; its parts are drawn afresh unless bound.
RULES = {
    "open": ["Once upon a time there was a {nature} {kind:hero} named {name:hero}.",
             "Once upon a time there lived a {nature} {kind:hero} called {name:hero}.",
             "A long time ago there was a {nature} {kind:hero} whose name was {name:hero}."],
    "owns": ["{He:hero} lived {home} and had a {colour:it} {thing:it}.",
             "{name:hero} had a {colour:it} {thing:it} and kept it {spot:kept}.",
             "{His:hero} best toy was a {colour:it} {thing:it} that {he:hero} kept {spot:kept}."],
    "lost": ["{time}, {name:hero} could not find the {colour:it} {thing:it}.",
             "{time}, the {colour:it} {thing:it} was gone, and {name:hero} was {sad}."],
    "search": ["{He:hero} looked {spot:first} and {spot:second}, but it was not there.",
               "{He:hero} looked {spot:first}, but found only a {tool} and some {food}."],
    "comes": ["Then {name:friend} the {kind:friend} came by and asked why {he:hero} was {sad}.",
              "{name:friend}, a {nature} {kind:friend}, saw that {name:hero} was {sad}."],
    "offer": ['"Let us look {spot:there} together," said {name:friend}.',
              '"I will help you, and we will start {spot:there}," said {name:friend} {slowly}.'],
    "found": ["At last {name:friend} found the {colour:it} {thing:it} {spot:there}.",
              "They searched {slowly}, and there it was, the {colour:it} {thing:it}, {spot:there}."],
    "thanks": ["{name:hero} was {glad} and thanked {name:friend}, and they ate {food} {until}.",
               "{name:hero} hugged {name:friend}, and they played with the {thing:it} {until}."],
    "hears": ["{time}, {he:hero} heard that {name:friend} the {kind:friend} was stuck {trouble:friend}.",
              "{time}, {name:friend} the {kind:friend} called for help, for {he:friend} was stuck {trouble:friend}."],
    "fetches": ["{name:hero} ran home {slowly} and took a {tool:it} that stood {spot}.",
                "{He:hero} found a strong {tool:it} {spot} and carried it {slowly} to {his:hero} friend."],
    "calls": ['"Do not be afraid, I have a {tool:it}," said {name:hero} {slowly}.',
              '"Hold on to the {tool:it}, {name:friend}," called {name:hero} {slowly}.'],
    "frees": ["With the {tool:it}, {name:hero} helped {him:friend} {slowly}, and soon {name:friend} was {glad}.",
              "The {tool:it} was just what they needed, and {name:friend} was {slowly_free} and {glad}."],
    "feast": ["They walked home {slowly} and had {food:one} and {food:two} together.",
              "That evening {name:friend} brought {food} for {name:hero}, and they talked {until}."],
    "wishes": ["{He:hero} wanted to learn how to {skill:it} more than anything else.",
               "{He:hero} lived {home} and dreamed that one day {he:hero} could {skill:it}."],
    "tries": ["{time}, {name:hero} tried to {skill:it} {place:first}, but it did not go well.",
              "{time}, {he:hero} went {place:first} to {skill:it}, but everyone laughed."],
    "teacher": ["{name:friend} the {kind:friend} knew how to {skill:it} and wanted to help {him:hero}.",
                "{name:friend}, a {nature} {kind:friend}, said that {he:friend} could teach {him:hero} to {skill:it}."],
    "practice": ["Every day they met {place:one} and practised {until}.",
                 "They practised {slowly}, first {place:one} and then {place:two}."],
    "shows": ["In the end {name:hero} could {skill:it} so well that {name:friend} was {glad}.",
              "{time}, {name:hero} showed all the animals how well {he:hero} could {skill:it}."],
    "learnt": ["{name:hero} was {glad} and gave {name:friend} some {food} to say thank you.",
               "Now {name:hero} and {name:friend} often {skill:it} together {place:later} and are {glad}."],
    "plans": ["{He:hero} had a friend, {name:friend} the {kind:friend}, who lived {home}.",
              "{name:hero} often visited {his:hero} friend {name:friend}, a {nature} {kind:friend}."],
    "birthday": ["{time}, {name:hero} wanted to give {name:friend} a {colour:it} {thing:it}.",
                 "{time}, it was the birthday of {name:friend}, who wished for a {colour:it} {thing:it}."],
    "makes": ["{He:hero} worked {spot:work} {until} to make the {thing:it}.",
              "{He:hero} took a {tool} from {spot_from} and made the {thing:it} {slowly}."],
    "hides": ["Then {he:hero} hid the {colour:it} {thing:it} {spot:hidden} and waited {until}.",
              "Then {he:hero} put the {colour:it} {thing:it} {spot:hidden} next to some {food}."],
    "gives": ['"This is for you, {name:friend}," said {name:hero} {slowly}, and pointed to the {colour:it} {thing:it}.',
              "When {name:friend} saw the {colour:it} {thing:it}, {he:friend} was {glad} and laughed {until}."],
    "shares": ["The two friends ate {food:one} and {food:two} {until}.",
               "{name:friend} said thank you, and the two friends sang {until}."],
}
WORDS["His"] = by_gender("His", "Her")
WORDS["slowly_free"] = plain("soon free|free at last|safe again|quickly out|out of danger|saved")
WORDS["place"] = plain("in the garden|on the hill|in the barn|near the fence|in the tall grass|by the pond|at the market|"
                       "in the meadow|on the beach|at the old mill|in the forest|on the bridge")
WORDS["spot_from"] = plain("the barn|the cellar|the shed|the kitchen|the attic|the mill")

PLOTS = {
    "lost": ["open", "owns", "lost", "search", "comes", "offer", "found", "thanks"],
    "rescue": ["open", "hears", "fetches", "calls", "frees", "feast"],
    "skill": ["open", "wishes", "tries", "teacher", "practice", "shows", "learnt"],
    "gift": ["open", "plans", "birthday", "makes", "hides", "gives", "shares"],
}
REQUESTS = {
    "lost": ["Tell me a story about a {kind:hero} and a {colour:it} {thing:it}.",
             "Please write a short story about a {kind:hero} who lost a {colour:it} {thing:it}.",
             "Can you tell me how a {kind:hero} lost a {colour:it} {thing:it}?"],
    "rescue": ["Tell me a story about a {kind:hero} who helps a {kind:friend}.",
               "Please write a short story about a {kind:hero} who saves a {kind:friend}.",
               "Can you tell me how a {kind:hero} helped a {kind:friend}?"],
    "skill": ["Tell me a story about a {kind:hero} who learns to {skill:it}.",
              "Please write a short story about a {kind:hero} who wants to {skill:it}.",
              "Can you tell me how a {kind:hero} learned to {skill:it}?"],
    "gift": ["Tell me a story about a {kind:hero} who makes a {colour:it} {thing:it}.",
             "Please write a short story about a {kind:hero} and a gift for a {kind:friend}.",
             "Can you tell me how a {kind:hero} gave a {kind:friend} a present?"],
}
GRAMMAR = Grammar(WORDS, RULES | {"request_" + plot: texts for plot, texts in REQUESTS.items()} |
                  {"story_" + plot: [" ".join("{%s}" % symbol for symbol in plan)] for plot, plan in PLOTS.items()})
DRAWS_MAX = 60


def sentence_on_side(symbol, bound, rng, held_out):
    for _ in range(DRAWS_MAX):
        text, more = GRAMMAR.write(symbol, bound, rng)
        if is_held_out(text) == held_out:
            return text, more
    return None


def write_story(rng, held_out):
    """(request, story), every sentence of both on one side of the split."""
    while True:
        plot = rng.choice(sorted(PLOTS))
        request, bound = None, {}
        written = sentence_on_side("request_" + plot, bound, rng, held_out)
        if written is None:
            continue
        request, bound = written
        sentences = []
        for symbol in PLOTS[plot]:
            written = sentence_on_side(symbol, bound, rng, held_out)
            if written is None:
                break
            sentences.append(written[0])
            bound = written[1]
        else:
            return request, " ".join(sentences)


def sentence_parses(sentence):
    return any(GRAMMAR.accepts(symbol, sentence) for symbol in RULES)


def story_parses(text):
    """Whether the whole text is one story of one plot: names, pronouns and things agree from the first sentence to the last."""
    return any(GRAMMAR.accepts("story_" + plot, text) for plot in PLOTS)


def request_is_met(request, text):
    """Whether the story is one that the request asked for."""
    for plot in PLOTS:
        for end, bound in GRAMMAR.match("request_" + plot, request):
            if end == len(request):
                for story_end, _ in GRAMMAR.match("story_" + plot, text, 0, bound):
                    if story_end == len(text):
                        return True
    return False


def count_parsing(text):
    """(sentences that parse, sentences) of a text."""
    sentences = sentences_of(text)
    return sum(sentence_parses(sentence) for sentence in sentences), len(sentences)
