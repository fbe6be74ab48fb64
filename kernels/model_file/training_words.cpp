#include "kernels/model_file/training_words.hpp"

#include <string_view>

namespace troupe::kernels {
namespace {

// In falling order of use.
constexpr std::string_view common[] = {
    "the",    "of",     "and",     "to",      "in",    "a",       "is",      "that",  "for",
    "it",     "as",     "was",     "with",    "be",    "by",      "on",      "not",   "he",
    "this",   "are",    "or",      "his",     "from",  "at",      "which",   "but",   "have",
    "an",     "had",    "they",    "you",     "were",  "their",   "one",     "all",   "we",
    "can",    "her",    "has",     "there",   "been",  "if",      "more",    "when",  "will",
    "would",  "who",    "so",      "no",      "out",   "up",      "into",    "do",    "time",
    "what",   "some",   "could",   "other",   "than",  "then",    "its",     "only",  "them",
    "these",  "two",    "may",     "over",    "first", "any",     "such",    "like",  "our",
    "now",    "man",    "me",      "even",    "most",  "made",    "after",   "also",  "did",
    "many",   "before", "must",    "through", "years", "where",   "much",    "way",   "well",
    "down",   "should", "because", "each",    "just",  "those",   "people",  "how",   "too",
    "little", "state",  "good",    "very",    "make",  "world",   "still",   "see",   "own",
    "work",   "long",   "here",    "get",     "both",  "between", "life",    "being", "under",
    "never",  "day",    "same",    "another", "know",  "while",   "last",    "might", "us",
    "great",  "old",    "year",    "off",     "come",  "since",   "against", "go",    "came",
    "right",  "used",   "take",    "three",   "house", "water",   "city",    "night", "river",
};

constexpr std::string_view stems[] = {
    "act",      "add",     "age",        "air",        "answer",   "art",      "ask",
    "back",     "bake",    "band",       "bank",       "base",     "beat",     "bed",
    "bind",     "bird",    "block",      "blue",       "board",    "boat",     "body",
    "book",     "bound",   "box",        "branch",     "bread",    "break",    "bridge",
    "bright",   "bring",   "brown",      "build",      "burn",     "call",     "camp",
    "care",     "carry",   "cast",       "catch",      "cause",    "cell",     "center",
    "chain",    "chair",   "chance",     "change",     "charge",   "check",    "child",
    "choose",   "circle",  "claim",      "class",      "clean",    "clear",    "climb",
    "clock",    "close",   "cloud",      "coast",      "cold",     "collect",  "color",
    "comput",   "connect", "consider",   "contain",    "continu",  "control",  "cook",
    "copy",     "corner",  "count",      "cover",      "cross",    "crowd",    "dance",
    "dark",     "deal",    "decid",      "deep",       "design",   "develop",  "differ",
    "direct",   "discuss", "divid",      "doctor",     "door",     "draw",     "dream",
    "dress",    "drink",   "drive",      "drop",       "earth",    "east",     "edge",
    "effect",   "engine",  "enjoy",      "enter",      "equal",    "even",     "exact",
    "exampl",   "except",  "excit",      "expect",     "explain",  "express",  "eye",
    "face",     "fact",    "fair",       "fall",       "farm",     "fast",     "favor",
    "feel",     "field",   "fight",      "figur",      "fill",     "find",     "finger",
    "finish",   "fire",    "fish",       "fit",        "floor",    "flow",     "flower",
    "fly",      "follow",  "force",      "forest",     "form",     "forward",  "free",
    "fresh",    "friend",  "front",      "fruit",      "game",     "garden",   "gather",
    "gentl",    "glass",   "gold",       "govern",     "grand",    "grass",    "green",
    "ground",   "group",   "grow",       "guard",      "guess",    "guid",     "hand",
    "happen",   "hard",    "head",       "hear",       "heart",    "heat",     "heavy",
    "help",     "high",    "hold",       "hope",       "horse",    "hour",     "human",
    "hunt",     "imagin",  "inch",       "includ",     "indicat",  "industr",  "instrument",
    "interest", "invent",  "island",     "join",       "journey",  "jump",     "keep",
    "kind",     "king",    "kitchen",    "land",       "language", "large",    "laugh",
    "lead",     "learn",   "leav",       "letter",     "level",    "lift",     "light",
    "limit",    "line",    "liquid",     "list",       "listen",   "locat",    "love",
    "machin",   "magnet",  "mark",       "market",     "master",   "match",    "matter",
    "measur",   "meet",    "memor",      "metal",      "middl",    "mind",     "minut",
    "model",    "modern",  "moment",     "money",      "month",    "moon",     "morning",
    "mother",   "motion",  "mount",      "mountain",   "mouth",    "mov",      "music",
    "name",     "nation",  "natur",      "near",       "need",     "neighbor", "network",
    "noise",    "north",   "notic",      "number",     "object",   "observ",   "ocean",
    "offer",    "office",  "oper",       "opposit",    "order",    "organ",    "paint",
    "paper",    "parent",  "part",       "particular", "pass",     "past",     "path",
    "pattern",  "perform", "period",     "person",     "phras",    "picture",  "piec",
    "place",    "plain",   "plan",       "planet",     "plant",    "play",     "point",
    "poor",     "popul",   "position",   "possibl",    "pound",    "power",    "practic",
    "prepar",   "present", "press",      "print",      "probabl",  "problem",  "process",
    "produc",   "product", "proper",     "protect",    "prov",     "provid",   "pull",
    "push",     "quart",   "question",   "quick",      "quiet",    "radio",    "rain",
    "rais",     "rang",    "reach",      "read",       "real",     "reason",   "receiv",
    "record",   "region",  "remember",   "repeat",     "replac",   "report",   "represent",
    "requir",   "rest",    "result",     "rich",       "ring",     "road",     "rock",
    "roll",     "room",    "root",       "round",      "rule",     "safe",     "sail",
    "salt",     "sand",    "scal",       "school",     "scienc",   "search",   "season",
    "second",   "section", "select",     "sens",       "sentenc",  "separat",  "serv",
    "settl",    "shap",    "sharp",      "ship",       "shor",     "short",    "should",
    "shoulder", "show",    "signal",     "silent",     "silver",   "simpl",    "sing",
    "sister",   "skill",   "sleep",      "slow",       "small",    "smell",    "smil",
    "snow",     "soft",    "soil",       "soldier",    "solut",    "solv",     "song",
    "sound",    "south",   "speak",      "special",    "speed",    "spell",    "spend",
    "spread",   "spring",  "square",     "stand",      "star",     "start",    "station",
    "stay",     "steam",   "steel",      "step",       "stone",    "stor",     "storm",
    "stor",     "stream",  "street",     "strength",   "stretch",  "string",   "strong",
    "student",  "study",   "subject",    "substanc",   "sudden",   "sugar",    "suggest",
    "summer",   "suppl",   "support",    "suppos",     "surfac",   "surpris",  "swim",
    "symbol",   "system",  "table",      "talk",       "teach",    "team",     "temper",
    "test",     "thank",   "thick",      "thin",       "think",    "thought",  "thousand",
    "throw",    "tool",    "touch",      "town",       "track",    "trad",     "train",
    "travel",   "tree",    "triangl",    "trip",       "troubl",   "truck",    "trust",
    "turn",     "type",    "understand", "unit",       "usual",    "valley",   "valu",
    "vari",     "view",    "village",    "visit",      "voic",     "vowel",    "wait",
    "walk",     "wall",    "want",       "warm",       "wash",     "watch",    "wav",
    "wear",     "weather", "week",       "weight",     "west",     "wheel",    "whit",
    "whol",     "wid",     "wild",       "wind",       "window",   "winter",   "wish",
    "woman",    "wonder",  "wood",       "word",       "work",     "writ",     "yard",
    "yellow",   "young",
};

constexpr std::string_view endings[] = {
    "",    "s",    "ed",    "ing",  "er",    "ers",  "ly",  "e",    "es",    "al",   "able",
    "ion", "ions", "ation", "ment", "ments", "ness", "ful", "less", "ity",   "ive",  "ized",
    "ist", "ish",  "y",     "ies",  "ward",  "ance", "ent", "ous",  "ingly", "ally",
};

constexpr std::string_view prefixes[] = {"", "re", "un", "over", "pre"};

constexpr std::string_view marks[] = {
    ".",  ",",  ", ",  "\n",  "\n\n",     "  ",     "    ", "'s",     "n't",   "\"",    "...", "--",
    " (", ").", "://", "();", " {\n",     "}\n",    " =",   " ==",    " +=",   " //",   "::",  "->",
    " <", ">",  " &&", "[i]", "#include", "return", " int", " const", " auto", " void",
};

// The word as text has it: after a space most often, sometimes at a line's start, sometimes with a
// capital.
void add_forms(std::vector<counted_word>& words, const std::string& word, std::uint64_t count) {
  std::string capital = word;
  if (capital[0] >= 'a' && capital[0] <= 'z')
    capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
  words.push_back({" " + word, count});
  words.push_back({word, count / 8 + 1});
  words.push_back({" " + capital, count / 10 + 1});
  words.push_back({capital, count / 16 + 1});
}

}  // namespace

std::vector<counted_word> training_words(std::size_t word_forms_max) {
  std::vector<counted_word> words;
  std::uint64_t rank = 0;
  const auto add = [&](const std::string& word) {
    if (words.size() < word_forms_max) add_forms(words, word, 4000000 / (rank++ + 8));
  };
  for (const std::string_view word : common) add(std::string(word));
  for (const std::string_view prefix : prefixes) {
    for (const std::string_view ending : endings) {
      for (const std::string_view stem : stems)
        add(std::string(prefix) + std::string(stem) + std::string(ending));
    }
  }
  for (const std::string_view mark : marks) words.push_back({std::string(mark), 20000});
  for (int number = 0; number < 1000; ++number)
    words.push_back({std::to_string(number), static_cast<std::uint64_t>(20000 / (number + 10))});
  return words;
}

}  // namespace troupe::kernels
