"""Renders chat templates with Jinja2, set up as transformers sets it up, and with troupe's driver; compares byte for byte.

compare_with_jinja2.py templates|fragments|random DRIVER [SEED [COUNT]]. Prints each difference; exit 1 where there is one.
Where Jinja2 raises, troupe has to refuse; what the message says is its own affair.
"""

import copy
import datetime
import json
import pathlib
import subprocess
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.sandbox
except ImportError:
    print("skipped: python3-jinja2 is not installed")
    sys.exit(0)

import fragments
import random_templates

HERE = pathlib.Path(__file__).parent
NOW = 1785852305  # 2026-08-04 14:05:05
SHOWN_MAX = 20
# What troupe refuses on purpose although Python has an answer: README.md of kernels/chat_template.
ON_PURPOSE = ("an integer leaves 64 bits", "an iterator has no text", "powers of floats", "has no text", "% format is not",
              "digits is not supported", "a number does not fit", "has no slices")


class Generation(jinja2.ext.Extension):
    """The tag by which transformers finds what an assistant said: it shows its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_shown"), [], [], body).set_lineno(line)

    def _shown(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None).strftime(form)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                        extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    return made


def by_jinja2(made, case):
    """The text, or None and why there is none."""
    try:
        context = dict(messages=case.get("messages", []), tools=case.get("tools"), documents=None,
                       add_generation_prompt=case.get("add_generation_prompt", True), bos_token="<s>", eos_token="</s>")
        context.update(case.get("variables", {}))
        context = copy.deepcopy(context)  # Jinja2 lets a few filters change a list
        return made.from_string(case["template"]).render(**context), None
    except Exception as problem:
        return None, f"{type(problem).__name__}: {problem}"


def by_troupe(driver, cases):
    lines = "".join(json.dumps(dict(case, now=NOW)) + "\n" for case in cases)
    done = subprocess.run([driver], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def difference(case, wanted, why, found):
    """What differs, or None."""
    if wanted is None:
        return None if "error" in found else f"Jinja2 raised {why}; troupe gave {found['text']!r}"
    if " at 0x" in wanted:
        return None  # an address of Python's: no template means that
    if "error" in found:
        on_purpose = any(part in found["error"] for part in ON_PURPOSE)
        return None if on_purpose else f"Jinja2 gave {wanted!r}; troupe refused: {found['error']}"
    return None if wanted == found["text"] else f"Jinja2 gave {wanted!r}\n      troupe {found['text']!r}"


def template_cases():
    conversations = json.loads((HERE / "conversations.json").read_text())
    for path in sorted((HERE / "templates").glob("*.jinja")):
        for name, conversation in conversations.items():
            for prompt in (True, False):
                yield dict(conversation, name=f"{path.name} with {name}", template=path.read_text(), add_generation_prompt=prompt)


def cases_of(part, seed, count):
    if part == "templates":
        return list(template_cases())
    if part == "fragments":
        return [dict(name=source, template=source, **fragments.CONTEXT) for source in fragments.FRAGMENTS]
    sources = random_templates.sources(seed, count)
    return [dict(name=f"number {number} of seed {seed}", template=source, **fragments.CONTEXT)
            for number, source in enumerate(sources)]


def main():
    part, driver = sys.argv[1:3]
    seed, count = (int(argument) for argument in (sys.argv[3:] + ["7", "1000"][len(sys.argv) - 3:]))
    cases = cases_of(part, seed, count)
    made, rendered, refused, wrong = environment(), 0, 0, 0
    for case, found in zip(cases, by_troupe(driver, cases), strict=True):
        wanted, why = by_jinja2(made, case)
        rendered += wanted is not None and "text" in found
        refused += wanted is None
        differs = difference(case, wanted, why, found)
        if differs:
            wrong += 1
            if wrong <= SHOWN_MAX:
                print(f"{case['name']}\n  {case['template'] if part != 'templates' else ''}\n  {differs}\n")
    print(f"{part}: {len(cases)} templates, {rendered} rendered by both, {refused} refused by Jinja2, {wrong} differ")
    sys.exit(1 if wrong or rendered < len(cases) // 3 else 0)


if __name__ == "__main__":
    main()
