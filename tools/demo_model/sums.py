"""Additions and comparisons, worked out digit by digit. The last number of an addition's answer is the sum."""

from held_out import is_held_out

SUM_QUESTIONS = ["What is {a} + {b}?", "How much is {a} + {b}?", "Add {a} and {b}.", "Can you add {a} and {b}?"]
PLACES = ("Ones", "tens", "hundreds")


def worked(a, b):
    """'Ones 7+5=12, tens 4+1+1=6, hundreds 3+2=5, so 347 + 215 = 562.'"""
    steps, carry = [], 0
    for index in range(max(len(str(a)), len(str(b)))):
        x, y = a // 10 ** index % 10, b // 10 ** index % 10
        total = x + y + carry
        steps.append(f"{PLACES[index]} {x}+{y}{'+1' if carry else ''}={total}")
        carry = total // 10
    return ", ".join(steps) + f", so {a} + {b} = {a + b}."


def number(rng, digits):
    return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10 ** digits)


def pair_is_held_out(a, b):
    return is_held_out(f"{min(a, b)} and {max(a, b)}")


def write_sum(rng, held_out):
    """(question, answer); numbers of one to three digits, mostly three. The pair, in either order, is on one side of the split."""
    while True:
        a = number(rng, rng.choice((1, 2, 2, 3, 3, 3)))
        b = number(rng, rng.choice((1, 2, 2, 3, 3, 3)))
        if pair_is_held_out(a, b) == held_out:
            return rng.choice(SUM_QUESTIONS).format(a=a, b=b), worked(a, b)


COMPARISONS = [
    ("Which number is larger, {a} or {b}?", "{high} is larger than {low}."),
    ("Which number is smaller, {a} or {b}?", "{low} is smaller than {high}."),
    ("Is {a} more than {b}?", "{truth}, {a} is {more} than {b}."),
]


def compared(a, b):
    """'Hundreds 7=7, tens 1<3', from the left up to the first difference; or what is longer."""
    left, right = str(a), str(b)
    if len(left) != len(right):
        return f"{len(left)} digits and {len(right)} digits"
    steps = []
    for place, x, y in zip(reversed(PLACES[:len(left)]), left, right):
        steps.append(f"{place.lower()} {x}{'<' if x < y else '>' if x > y else '='}{y}")
        if x != y:
            break
    text = ", ".join(steps)
    return text[:1].upper() + text[1:]


def write_comparison(rng, held_out):
    while True:
        digits = rng.choice((1, 2, 2, 3, 3, 3))
        a = number(rng, digits)
        b = number(rng, digits if rng.random() < 0.7 else rng.choice((1, 2, 3)))
        if a == b or pair_is_held_out(a, b) != held_out:
            continue
        question, answer = rng.choice(COMPARISONS)
        named = {"a": a, "b": b, "low": min(a, b), "high": max(a, b), "truth": "yes" if a > b else "no",
                 "more": "more" if a > b else "less"}
        return question.format(**named), f"{compared(a, b)}, so {answer.format(**named)}"


def last_number(text):
    """The last whole number of a text, None where there is none."""
    digits, seen = "", ""
    for sign in text:
        if sign.isdigit() and sign.isascii():
            digits += sign
        else:
            seen, digits = digits or seen, ""
    return int(digits or seen) if digits or seen else None
