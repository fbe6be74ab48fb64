"""Random templates from a grammar: mostly sound, sometimes with values of the wrong type. Same seed, same templates."""

import random

NUMBERS = ["n", "x", "yes", "0", "1", "2", "-3", "7", "2.5", "0.1", "1e3", "point.x", "point['y']", "people[0].age", "numbers[1]", "third", "big"]
TEXTS = ["word", "wide", "quotes", "lines", "empty", "''", "'a'", '"it\'s"', "'a,b,,c'", "'  x y '", "'\\n\\té'", "messages[1].content",
         "people[1].name", "words[0]", "point.name", "'Ünder_score-Dash'", "bos_token"]
LISTS = ["numbers", "words", "nested", "people", "messages", "[]", "[1, 'a', none]", "(1, 2)", "()", "range(4) | list", "[2.5, 1, true]", "nested[0]"]
DICTS = ["point", "people[0]", "messages[2]", "{}", "{'a': 1, 'b': [2]}", "{1: 'x', none: 2.5}", "messages[0]"]
ODD = ["none", "nothing", "nope", "nope2", "people[1].pet", "true", "false", "point.nope"]
CHARS = ["'a'", "' '", "'l'", "','", "'\\n'", "'an'", "'é'", "''", "'世'"]


class Grammar:
    def __init__(self, seed):
        self.dice = random.Random(seed)

    def one(self, *kinds):
        return self.dice.choice(kinds)

    def any(self, depth):
        return self.one(self.number, self.text, self.sequence, self.mapping, self.truth, self.odd)(depth)

    def odd(self, depth):
        return self.dice.choice(ODD)

    def number(self, depth):
        if depth <= 0 or self.dice.random() < 0.2:
            return self.dice.choice(NUMBERS)
        a, b = self.loose(self.number, depth - 1), self.number(depth - 1)
        text, items = self.text(depth - 1), self.sequence(depth - 1)
        return self.one(f"({a}) {self.one('+', '-', '*', '/', '//', '%')} {b}", f"({a} {self.one('+', '-', '*')} {b})", f"-{a}", f"{text} | length", f"({items}) | length",
                        f"({text}).{self.one('find', 'count', 'rfind')}({self.dice.choice(CHARS)})", f"({a}) | abs", f"{a} | round({self.one('0', '1', '2')})", f"{text} | int", f"({items}) | sum",
                        f"{a} if {self.truth(depth - 1)} else {b}", f"{items} | first", f"({a}) | int", f"({a}) | float", f"({items}) | {self.one('min', 'max')}", f"{text} | wordcount")

    def text(self, depth):
        if depth <= 0 or self.dice.random() < 0.2:
            return self.dice.choice(TEXTS)
        a, b, chars, k = self.loose(self.text, depth - 1), self.text(depth - 1), self.dice.choice(CHARS), self.dice.randint(-4, 6)
        return self.one(f"{a} ~ {b}", f"({a} + {b})", f"({a})[{k}:]", f"({a})[:{k}]", f"({a})[{k}]", f"({a})[{self.one('', k)}:{self.one('', 3)}:{self.one(1, 2, -1, -2)}]",
                        f"({a}) | {self.one('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse', 'length', 'first', 'last', 'indent', 'tojson')}",
                        f"({a}).{self.one('upper', 'lower', 'title', 'capitalize', 'strip', 'lstrip', 'rstrip', 'swapcase')}()", f"({a}).{self.one('strip', 'lstrip', 'rstrip')}({chars})",
                        f"({a}).replace({chars}, {b})", f"({a}) | replace({chars}, {b}, {k})", f"{self.any(depth - 1)} | string", f"({self.sequence(depth - 1)}) | join({b})",
                        f"({a}).{self.one('split', 'rsplit')}({chars}, {k})[{self.one(0, -1)}]", f"{self.any(depth - 1)} | tojson", f"({self.mapping(depth - 1)}) | tojson(indent={self.one(0, 2)})",
                        f"({a}) * {self.one(0, 2, 3)}", f"({a} if {self.truth(depth - 1)})", f"{a} | default({b}, {self.one('true', 'false')})", f"({a}).partition({chars})[{self.one(0, 2)}]",
                        f"'%s|%s' % ({a}, {self.any(depth - 1)})", f"({a}) | truncate({self.dice.randint(3, 9)}, {self.one('true', 'false')})", f"({a}) | indent({k}, {self.one('true', 'false')}, {self.one('true', 'false')})",
                        f"({a}) | center({self.dice.randint(0, 20)})")

    def sequence(self, depth):
        if depth <= 0 or self.dice.random() < 0.25:
            return f"({self.dice.choice(LISTS)})"
        a, k = self.loose(self.sequence, depth - 1), self.dice.randint(-3, 4)
        return self.one(f"[{self.any(depth - 1)}, {self.any(depth - 1)}]", f"({self.any(depth - 1)}, {self.any(depth - 1)})", f"({a})[{k}:]", f"({a})[::{self.one(-1, 2)}]", f"({a} + {self.sequence(depth - 1)})",
                        f"({a}) | {self.one('list', 'sort', 'unique | list', 'reverse | list', 'sort(reverse=true)', 'sort(case_sensitive=true)', 'unique(true) | list')}",
                        f"({a}) | map('{self.one('string', 'upper', 'length', 'first', 'int', 'tojson', 'title')}') | list", f"({a}) | {self.one('select', 'reject')}('{self.one('odd', 'string', 'number', 'defined', 'mapping', 'none', 'sequence', 'iterable')}') | list",
                        f"people | {self.one('selectattr', 'rejectattr')}('{self.one('age', 'name', 'pet', 'pet.kind')}', '{self.one('equalto', 'ne', 'gt', 'in')}', {self.any(0)}) | list",
                        f"people | map(attribute='{self.one('age', 'name', 'pet')}') | list", f"({self.text(depth - 1)}).split({self.one('', self.dice.choice(CHARS))})", f"({self.text(depth - 1)}) | list", f"({self.mapping(depth - 1)}) | list",
                        f"({self.mapping(depth - 1)}) | dictsort", f"({self.mapping(depth - 1)}).{self.one('items', 'keys', 'values')}() | list", f"range({self.one(0, 3, 5)}, {k}, {self.one(1, 2, -1)}) | list", f"({a}) | batch({self.one(1, 2, 3)}) | list",
                        f"({self.text(depth - 1)}).splitlines()", f"({a}) * {self.one(0, 1, 2)}", f"({a}) | select | list")

    def mapping(self, depth):
        if depth <= 0 or self.dice.random() < 0.4:
            return self.dice.choice(DICTS)
        return self.one(f"{{'k': {self.any(depth - 1)}, {self.text(depth - 1)}: {self.number(depth - 1)}}}", f"dict(a={self.any(depth - 1)})", f"dict({self.mapping(depth - 1)}, z={self.number(depth - 1)})", f"({self.sequence(depth - 1)}) | first")

    def truth(self, depth):
        if depth <= 0:
            return self.one("yes", "no", "true", "nope is defined", "n > 3", "word == 'x'")
        a, b = self.any(depth - 1), self.any(depth - 1)
        tests = ("defined", "undefined", "none", "string", "number", "mapping", "sequence", "iterable", "true", "false", "integer", "float", "boolean", "odd", "even", "lower", "upper", "divisibleby(3)", f"in({self.sequence(0)})", f"eq({b})")
        return self.one(f"({a}) {self.one('==', '!=')} ({b})", f"{self.number(depth - 1)} {self.one('<', '<=', '>', '>=')} {self.number(depth - 1)}", f"({a}) {self.one('in', 'not in')} ({self.one(self.sequence, self.text, self.mapping)(depth - 1)})",
                        f"not {self.truth(depth - 1)}", f"({a}) {self.one('and', 'or')} ({b})", f"({a}) is {self.one('', 'not ')}{self.one(*tests)}", f"({self.text(depth - 1)}).{self.one('startswith', 'endswith')}({self.dice.choice(CHARS)})",
                        f"{self.number(0)} < {self.number(0)} <= {self.number(0)}", f"({self.text(depth - 1)}).{self.one('isdigit', 'isalpha', 'isupper', 'islower', 'isspace')}()")

    def loose(self, kind, depth):
        """Seldom something of another kind."""
        return kind(depth) if self.dice.random() < 0.96 else self.any(depth)

    def gap(self):
        return self.one("", "", "", "-", "+")

    def white(self):
        return self.one("", "", " ", "\n", "  \n ", "\n\n", "text ", "\ttab\n", "é")

    def block(self, inside):
        return f"{{%{self.gap()} {inside} {self.gap()}%}}{self.white()}"

    def program(self, depth):
        return "".join(self.statement(depth) for _ in range(self.dice.randint(1, 3)))

    def statement(self, depth):
        body = self.program(depth - 1) if depth > 0 else f"{{{{ {self.any(1)} }}}}"
        exits = self.one("", "", "", "{% if loop.index == 2 %}{% break %}{% endif %}", "{% if loop.first %}{% continue %}{% endif %}")
        name = self.one("v", "w", "u")
        made = self.dice.randrange(14)
        if made < 4:
            return self.white() + f"{{{{{self.one('', '-')} {self.any(3)} {self.one('', '-')}}}}}" + self.white()
        if made == 4:
            return self.block(f"if {self.truth(2)}") + body + self.block(f"elif {self.truth(1)}") + self.white() + self.block("else") + body + self.block("endif")
        if made == 5:
            return self.block(f"for v in {self.sequence(2)}") + exits + body + "{{ loop.index }}{{ loop.last }}{{ v }}" + self.block("else") + "none" + self.block("endfor")
        if made == 6:
            return self.block(f"for k, v in ({self.mapping(1)}).items() if v") + body + "{{ k }}={{ v }}" + self.block("endfor")
        if made == 7:
            return self.block(f"set {name} = {self.any(2)}") + f"{{{{ {name} }}}}"
        if made == 8:
            return self.block(f"set {name}") + body + self.block("endset") + f"[{{{{ {name} }}}}]"
        if made == 9:
            return self.block("set ns = namespace(t=0)") + self.block(f"for v in {self.sequence(1)}") + self.block(f"set ns.t = {self.one('ns.t + 1', 'v', 'ns.t ~ v')}") + self.block("endfor") + "{{ ns.t }}"
        if made == 10:
            return self.block(f"macro m(a, b={self.any(1)})") + body + "{{ a }}{{ b }}" + self.block("endmacro") + f"{{{{ m({self.any(1)}) ~ m(1, b={self.any(1)}) }}}}"
        if made == 11:
            return self.block(f"filter {self.one('upper', 'trim', 'title', 'indent(2)', 'length')}") + body + self.block("endfilter")
        if made == 12:
            return f"{{#{self.gap()} note {self.one('', '-')}#}}" + self.white() + body
        return self.block(f"with {name} = {self.any(1)}") + body + self.block("endwith")


def sources(seed, count):
    grammar = Grammar(seed)
    return [f"{{{{ {grammar.any(3)} }}}}" if number % 2 else grammar.program(2) for number in range(count)]
