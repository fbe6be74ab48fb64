"""Small templates, each about one construct, and what they are given."""

CONTEXT = {
    "messages": [
        {"role": "system", "content": "  You answer briefly.\n"},
        {"role": "user", "content": "Grüße, 世界! <b>it's</b>"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes.", "tool_calls": [
            {"type": "function", "id": "c1", "function": {"name": "add", "arguments": {"a": 1, "b": [2.5, None, True]}}}]},
        {"role": "tool", "content": "3.5", "name": "add"},
    ],
    "variables": {
        "n": 7, "x": 2.5, "yes": True, "no": False, "nothing": None, "empty": "", "word": "Hello World", "wide": "äöü ß 日本",
        "numbers": [3, 1, 2, 1], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3], []],
        "point": {"x": 1, "y": -2, "name": "P", "items": "hidden"}, "people": [
            {"name": "Ann", "age": 31, "pet": {"kind": "cat"}}, {"name": "bob", "age": 25}, {"name": "Cyd", "age": 31, "pet": None}],
        "quotes": "it's \"so\"", "lines": "one\n two\n\nthree\n", "big": 123456789012, "small": 0.00001, "huge": 1e22, "third": 1 / 3,
    },
}

# Each is shown as {{ ... }}.
EXPRESSIONS = r"""
1 + 2 * 3 - 4
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 2 ** 10, 2 ** 3 ** 2, -2 ** 2
7 / 2, 6 / 2, 1 / 3, 0.1 + 0.2, 1e3, 1.5e-7, 1_000, 0x1f, 0b101, 0o17
7.5 // 2, -7.5 // 2, 7.5 % 2, -7.5 % 2, 7.5 % -2, 1e16, 1e15, 123456789.123
1 // 0
1 % 0
1.5 / 0
x * 2, n / x, -x, +n, -yes, n - yes, +yes
big * big
huge, small, third, big, 1.0, 100.0, -0.0, 1e100, 5e-324
"a" + 'b' "c" ~ 1 ~ none ~ true ~ 1.5 ~ undefined_thing ~ [1, 'a']
"a" * 3, [1] * 2, 2 * "ab", (1,) * 2, "a" * -1
[1, 2] + [3], (1,) + (2, 3)
"a" + 1
1 + nothing
[] + ()
undefined_thing + 1
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 == true, 'a' < 'b', [1, 2] < [1, 3], 3 >= 3, 2 != 2
"a" < 1
none < 1
undefined_thing == undefined_other, undefined_thing == none, none == none, '1' == 1
1 in [1, 2], 4 not in [1, 2], 'a' in 'cat', 'x' in point, 'q' not in point, 2 in (1, 2), true in [1]
1 in 'a1'
none in 'abc'
1 in none
'a' in undefined_thing
not 1, not '', not [] and 1, 0 or 'b', '' or [] or 0, 1 and 'x', nothing or no, not not 5
'yes' if yes else 'no', 'a' if no, ('a' if no) is undefined, 1 if no else 2 if no else 3
yes, no, nothing, true, True, false, False, none, None
[1, 'a', 2.5, none, true, [1], {'k': 'v'}, (1,), (1, 2), ()]
{}, {'a': 1, 2: 'b', none: 3, true: 4}, {'a': 1, 'a': 2}
(1, 2)
()
1,
quotes, [quotes], ["'"], ['"'], ['\\', '\n', '\t', '\x00\x7f', '\u200b', '日本', '\U0001F600', 'é']
"a\nb\tc\\d\'e\"f\x41\u00e9\101\q"
word[0], word[-1], word[1:4], word[:-3], word[::-1], word[::2], word[10:2:-2], word[99:], word[5:2]
wide[0], wide[-1], wide[2:5], wide[::-1], wide|length, wide[1:], wide[:3]
word[99]
word[99] is undefined, numbers[99] is undefined, numbers[-9] is undefined
numbers[0], numbers[-1], numbers[1:], numbers[:-1], numbers[::-1], numbers[1:3], (1, 2, 3)[1:]
numbers[::0]
numbers['a']
point.x, point['y'], point.nope, point['nope'] is undefined, point.get('x'), point.get('q'), point.get('q', 5)
point.items() | list, point.keys() | list, point.values() | list, point['items']
point.items(), point.keys(), point.values()
point.nope.deeper
point.nope.deeper is defined
undefined_thing.deeper
undefined_thing['deeper']
undefined_thing()
none.something
none.something is undefined
none['a'] is undefined, 5[0] is undefined
nested[0][1], nested[2] | first is undefined, people[0].pet.kind, people[1].pet is defined, people.0.name
people[2].pet.kind
messages[0].content, messages[0]['role'], messages | length, messages[-1].name
messages[2].tool_calls[0].function.arguments | tojson
messages | tojson
messages | tojson(indent=2)
point | tojson, wide | tojson, wide | tojson(ensure_ascii=true), "\U0001F600" | tojson(true), quotes | tojson
[1, 2.5, none, true, "a/b<c>", "\x00\x1f\x7f", 1e22, {}, [], {'a': []}] | tojson
[1, [2, {'a': 3}], {}, []] | tojson(indent=4)
{'b': 1, 'a': 2} | tojson(sort_keys=true), {'b': 1, 'a': 2} | tojson(separators=(',', ':')), {1: 2, none: 3, true: 4, 1.5: 5} | tojson
[1] | tojson(indent=0), [1, 2] | tojson(indent='--'), (1, 2) | tojson
undefined_thing | tojson
point.items() | tojson
words | map('upper') | tojson
word | upper, word | lower, word | title, word | capitalize, word | length, word | count, 'ab-cd (ef) gh_ij' | title
wide | upper, wide | lower, wide | capitalize, wide | title
'  a b ' | trim ~ '|', 'xxaxx' | trim('x'), nothing | trim, 5 | trim, undefined_thing | trim
'aaa' | replace('a', 'b'), 'aaa' | replace('a', 'b', 2), 'abc' | replace('', '-'), 5 | replace(5, 6), undefined_thing | replace('a', 'b')
[1, 2, 3] | join, [1, 2, 3] | join(', '), 'abc' | join('-'), people | join('/', attribute='name'), [none, undefined_thing, 1.5] | join('|'), undefined_thing | join
undefined_thing | default('d'), none | default('d'), '' | default('d', true), undefined_thing | d, undefined_thing | default(1), 0 | default(5, boolean=true)
numbers | first, numbers | last, [] | first is undefined, [] | last is undefined, 'abc' | first, 'abc' | last, point | first, wide | last
numbers | sort, numbers | sort(reverse=true), words | sort, words | sort(case_sensitive=true), people | sort(attribute='age') | map(attribute='name') | list
people | sort(attribute='age,name', reverse=true) | map(attribute='name') | list
[1, 'a'] | sort
numbers | unique | list, words | unique | list, words | unique(case_sensitive=true) | list, people | unique(attribute='age') | map(attribute='name') | list
numbers | reverse | list, 'abc' | reverse, point | reverse | list
numbers | min, numbers | max, words | min, words | max, [] | max is undefined, people | max(attribute='age')
numbers | sum, [1.5, 2] | sum, people | sum(attribute='age'), [[1], [2]] | sum(start=[])
people | map(attribute='pet.kind') | list
people | map(attribute='age') | list, people | map(attribute='nope', default='-') | list, words | map('upper') | join(' '), words | map('replace', 'p', 'b') | list
people | selectattr('age', 'equalto', 31) | map(attribute='name') | list, people | rejectattr('age', 'gt', 30) | list | length
people | selectattr('pet') | list | length, people | selectattr('pet', 'defined') | list | length, people | rejectattr('pet', 'none') | list | length
numbers | select('odd') | list, numbers | reject('odd') | list, [0, 1, '', 'a', none] | select | list, [0, 1] | reject | list, numbers | select('in', [1, 2]) | list
messages | selectattr('role', 'eq', 'user') | map(attribute='content') | first
messages | selectattr('role', '==', 'nobody') | first is undefined
(messages | selectattr('role', 'eq', 'nobody')) is true, 'full' if messages | selectattr('role', 'eq', 'nobody') else 'empty'
numbers | map('string') | list, ['1', 'x', 2.7, none] | map('int') | list, ['1.5', 'x', 2] | map('float') | list
'42' | int, '4.9' | int, 'x' | int, 'x' | int(5), '0x1f' | int(0, 16), 3.9 | int, -3.9 | int, none | int, ' 7 ' | int, '1e3' | int, true | int
'2.5' | float, 'x' | float, 'x' | float(1.5), 3 | float, '1e3' | float, 'inf' | float, none | float
-5 | abs, (-5) | abs, 2.5 | round, 3.5 | round, 2.567 | round(2), 42 | round, 2.1 | round(method='ceil'), 2.9 | round(method='floor'), 2.125 | round(2), 1234.5678 | round(1, 'floor')
5 | string ~ 'a', none | string, [1] | string, true | string
'a\nb\n\nc' | indent, 'a\nb\n\nc' | indent(2, true), 'a\nb\n\nc' | indent(2, first=true, blank=true), 'a\nb' | indent('> '), lines | indent(3), '' | indent
"<a href='x'>&\"</a>" | escape
'<' | e
'<b>' | safe
{'b': 1, 'A': 2, 'c': 0} | dictsort, {'b': 1, 'A': 2, 'c': 0} | dictsort(true), {'b': 1, 'A': 2, 'c': 0} | dictsort(by='value'), {'b': 1, 'a': 2} | dictsort(reverse=true)
point | items | list, undefined_thing | items | list
numbers | items
numbers | batch(3) | list, numbers | batch(3, 0) | list
numbers | list, 'abc' | list, point | list, undefined_thing | list, range(3) | list
5 | list
range(5), range(2, 5), range(0, 10, 3), range(3) | list, range(5, 0, -2) | list, range(3)[1], range(4) | length, 2 in range(3)
range(1.5)
dict(a=1, b=2), dict([('x', 1), ('y', 2)]), dict(point, x=5), dict()
namespace(a=1).a, namespace(a=1)
namespace().b is undefined
'%s and %d and %.2f %%' % ('a', 3, 2.567), '%s' % 5, '%s' % [1], '%x' % 255, '%r' % 'a'
'%s %s' % ('a',)
'%s' | format('x')
'{} and {}'.format(1, 'b'), '{0}{1}{0}'.format('a', 'b'), '{a}'.format(a=5), '{{}}'.format()
'a,b,c'.split(','), 'a b  c '.split(), 'a,b,c'.split(',', 1), 'a,b,c'.rsplit(',', 1), ' a b c'.split(None, 1), 'abc'.split('x'), ''.split(), ''.split(',')
'aaa'.rsplit('aa'), ' a b  c '.rsplit(none, 1), 'a b c'.rsplit(none, 5), 'a--b--c'.rsplit('--', maxsplit=1)
'a'.split('')
'abc'.startswith('a'), 'abc'.endswith('bc'), 'abc'.startswith(('x', 'a')), 'abc'.endswith(('x', 'y')), 'abc'.startswith('')
'abc'.startswith(1)
' a '.strip() ~ '|' ~ ' a '.lstrip() ~ '|' ~ ' a '.rstrip() ~ '|', 'xaxbx'.strip('x'), 'abcba'.strip('ab'), 'äaä'.strip('ä'), 'ab'.lstrip('a'), 'ab'.rstrip('b')
word.upper(), word.lower(), word.title(), "they're bill's 3rd".title(), 'ABC def'.capitalize(), 'aBc'.swapcase()
'abcabc'.find('c'), 'abcabc'.rfind('c'), 'abc'.find('x'), 'abcabc'.find('c', 3), 'äbc'.find('c'), 'abcabc'.count('bc'), 'abc'.index('b'), 'äbäb'.rfind('b')
'abc'.index('x')
'-'.join(['a', 'b']), ''.join([]), ', '.join(words)
'-'.join([1])
'aXbXc'.replace('X', '-'), 'aXbXc'.replace('X', '-', 1), 'abc'.replace('', '.')
'a=b=c'.partition('='), 'a=b=c'.rpartition('='), 'abc'.partition('='), 'abc'.rpartition('='), 'a\nb\r\nc'.splitlines(), 'a\nb\n'.splitlines(true)
'abc'.isalpha(), '12'.isdigit(), 'a1'.isalnum(), '  '.isspace(), ''.isalpha(), 'ABC'.isupper(), 'abc'.islower(), 'A1'.isupper(), '1'.isupper()
'abc'.removeprefix('a'), 'abc'.removesuffix('bc'), 'abc'.removeprefix('x'), 'ab'.ljust(4) ~ '|', 'ab'.rjust(4) ~ '|', 'ab' | center(7) ~ '|', 'abc' | center(6) ~ '|'
numbers.index(2), numbers.count(1), (1, 2).index(2)
numbers.append(4)
point.update({'a': 1})
point.pop('x')
numbers.nope is undefined, 'a'.nope is undefined, 5 .nope is undefined
''.__class__, point.__class__ is undefined
n is defined, nope is defined, nope is undefined, n is not defined, none is none, n is none, none is not none
n is number, yes is number, x is number, 'a' is number, n is integer, yes is integer, x is float, n is float
'a' is string, n is string, point is mapping, numbers is mapping, numbers is sequence, 'a' is sequence, point is sequence, n is sequence, numbers is iterable, n is iterable, nope is iterable, nope is sequence, range(2) is sequence
yes is true, no is false, n is true, 1 is true, yes is boolean, n is boolean, none is boolean
n is odd, n is even, 6 is divisibleby 3, 7 is divisibleby(3), n is eq 7, n is equalto(7), n is ne 7, n is gt 6, n is lt 6, n is ge 7, n is le 7, n is in [7], n is sameas 7
'abc' is lower, 'ABC' is upper, 'aBc' is lower, 'abc' is not upper, range is callable, n is callable, 'upper' is filter, 'nope' is filter, 'odd' is test
none is odd
n is defined and n > 3, n is string or n is number, 'a' if n is defined else 'b', not n is defined, n is in([1, 7]) and yes
numbers | length > 2, numbers | length + 1, -numbers | first, (numbers | first) * 2, not numbers | first == 3
nothing | length
5 | length
nope | length, nope | upper, nope | list, nope | string, nope | first is undefined, nope | int
word | truncate(5), word | truncate(8, true), word | truncate(8, true, ''), 'the quick brown fox' | truncate(12), 'abcdefgh' | truncate(5), 'abcdefghijkl' | truncate(5)
word | wordcount, 'a-b c_d, e' | wordcount
point | attr('x') is undefined, word | attr('nope') is undefined
strftime_now('%Y-%m-%d'), strftime_now('%d %b %Y'), strftime_now('%B %d, %Y'), strftime_now('%A %H:%M:%S %j %p %I %y %a %w %%'), strftime_now('%-d %B'), strftime_now('%e|%F|%T|%D|%R|%u|%h|%-H|%-m|%-I')
raise_exception('no')
[1, 2,], {'a': 1,}, (1, 2,), range(3,) | list
[[1, 2], [3, 4]] | map('first') | list, [[1, 2], [3, 4]] | map('join', '-') | list, [3, 1] | map('abs') | sum
messages | map(attribute='role') | join(' ') | upper
{'a': {'b': [1, {'c': 2}]}}.a.b[1].c
(1 if yes) + 1, [x for]
*numbers
1 2
a b
'unfinished
(1
[1, 2
{'a' 1}
1 +
n | nosuchfilter
n is nosuchtest
n.
n[
n |
|n
!n
n!
n ? 1 : 2
n === 1
''.join
lipsum
[nope], {'a': nope}, [none, nope] | string
'a' ~ nope ~ 'b'
'é' == 'e\u0301', 'é' | length
"x" in ["x"] and "y" not in ["x"], 1 not in [1] or true
1if yes else 2
"%c" % 65
'ab' 'cd' | upper
'ab' * 2 | upper
[1,2,3][-1:], [1,2,3][:1], [1,2,3][5:], [1,2,3][::2], [1,2,3][-2::-1], [1,2,3][:-5:-1]
""" + "\n" + r"""
words | select('equalto', 'fig') | list | first
words | map('first') | join, words | map('length') | list, words | map('default', 'x') | list
people | map(attribute='pet') | select('mapping') | map(attribute='kind') | list
people | selectattr('name', 'in', ['Ann', 'Cyd']) | map(attribute='age') | list
people | selectattr('pet.kind', 'equalto', 'cat') | list
word.split(' ')[-1].strip('d').upper().lower() | title
word.split() | map('reverse') | join(' ')
word | list | unique | sort | join
numbers | map('string') | map('int') | select('gt', 1) | sum
{'a': 1}.items() | first, {'a': 1} | length, {'a': 1}.keys() | first
{'a': 1} == {'a': 1.0}, {'a': 1} == {'b': 1}, [1, [2]] == [1, [2]], (1,) == [1], {'a': 1, 'b': 2} == {'b': 2, 'a': 1}
[1, 2] == [1, 2] and 'x' or 'y', [] == [], {} == {}, [] == {}, '' == none
'\n' in lines, lines.split('\n'), lines | trim | length
yes + yes, yes * 5, -5 // 2.0, 5 % 2.5, 2 ** -1
1e400, 3.14159265358979, 1234567.0, 12345678901234567.0, 1e-5, 0.0001, 2.0 * 3
"""

# Whole templates.
PROGRAMS = [
    "plain text", "", "\n", "a\n", "a\n\n", "a\r\nb\rc\n", "{{ 1 }}\n", "{{ 1 }}\n\n", "{% if yes %}\na\n{% endif %}\n",
    "  {% if yes %}\n  a\n  {% endif %}\n  b", "x  {% if yes %}  y  {% endif %}  z", "a {%- if yes -%} b {%- endif -%} c",
    "a\n  {%+ if yes %}\n b{% endif +%}\nc", "a {{- 1 -}} b\n\n {{- 2 }}\n{{ 3 -}}  \n c", "a\n  {#- c -#}\n  b", "a\n  {# c #}\nb", "{# a\n#}\n\nx",
    "{#- a -#} x", "{# unclosed", "a {{ 1", "a {% if yes", "{% if yes %}", "{% endif %}", "{% for %}{% endfor %}", "{% nonsense %}", "}} %} #}", "{ { } }",
    "{% raw %}{{ x }}{% if %}{% endraw %}", "a\n {% raw -%}  \n {{ x }} \n {%- endraw %}\nb", "{% raw %}x", "{%- raw -%} x {%- endraw -%} y",
    "{% raw %}\nx\n{% endraw %}\ny", "{% if no %}a{% elif yes %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}",
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ m.role }};{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}<{{ m.role }}>{{ loop.nextitem.role if not loop.last }} {% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}", "{% for i in numbers if i > 1 %}{{ loop.index }}/{{ loop.length }}={{ i }} {% else %}no{% endfor %}",
    "{% for i in numbers if i > 9 %}x{% else %}no{% endfor %}", "{% for k, v in point.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in point %}{{ k }};{% endfor %}",
    "{% for k, v in point | dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}{{ b }} {% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a in none %}{% endfor %}", "{% for a in 5 %}{% endfor %}", "{% for a in nope %}x{% else %}y{% endfor %}", "{% for c in wide %}[{{ c }}]{% endfor %}",
    "{% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% break %}", "{% for i in numbers %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}{% endfor %}",
    "{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% else %}e{% endfor %}", "{{ loop }}", "{% for i in [1] %}{% set y = i %}{% endfor %}{{ y is defined }}", "{% for i in [1] %}{{ i }}{% endfor %}{{ i is defined }}",
    "{% set a = 1 %}{% for i in numbers %}{% set a = a + i %}{{ a }} {% endfor %}{{ a }}", "{% set ns = namespace(t=0) %}{% for i in numbers %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = ns %}{{ ns.b.b.a }}", "{% set p.x = 1 %}", "{% set point.x = 1 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1, 2, 3] %}", "{% set a = 1, 2 %}{{ a }}",
    "{% set a %}x{{ n }}y{% endset %}{{ a }}{{ a is string }}", "{% set a | upper | replace('X', '-') %}x{{ n }}y{% endset %}{{ a }}", "{% set ns = namespace() %}{% set ns.a %}b{% endset %}{{ ns.a }}", "{% set a %}{% set b = 1 %}{% endset %}{{ b is defined }}",
    "{% if yes %}{% set a = 5 %}{% endif %}{{ a }}", "{% set n = n + 1 %}{{ n }}", "{% set messages = messages[1:] %}{{ messages | length }}", "{% filter upper %}abc {{ word }}{% endfilter %}", "{% filter replace('a', 'b') | trim %} banana {% endfilter %}|",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{% endwith %}{{ q is defined }}", "{% generation %}x{% set q = 1 %}{{ q }}{% endgeneration %}{{ q is defined }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m() }} {{ m(1)|length }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(q=2) }}", "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ n }}{% endcall %}", "{% macro m() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% set q = 1 %}{% macro m() %}{{ q }}{% endmacro %}{% set q = 2 %}{{ m() }}",
    "{% macro m() %}{% set q = 1 %}{% endmacro %}{{ m() }}{{ q is defined }}", "{% macro m(x) %}{{ x.upper() }}{% endmacro %}{{ words | map('upper') | join }}{{ m('a') }}", "{% macro m() %}  a\n{% endmacro %}[{{ m() | trim }}]", "{% macro m(x) %}{% for i in x %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}{% endmacro %}{{ m(numbers) }}",
    "{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% set x = x if x is defined else 1 %}{{ x }}", "{% set q = q if q is defined else 1 %}{{ q }}", "{% if 1 if yes else 0 %}{% endif %}", "{{ a if }}", "{{ }}", "{% set %}", "{% set a = %}", "{% set 5 = 1 %}", "{% set true = 1 %}",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% do x %}", "{{ [1, 2] | map('upper' }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}.a }}", "{{ '}}' }}{{ '%}' }}", "{%- set x = '{{' -%}{{ x }}", "{% if 'a' == 'a' -%}\n  x\n{%- endif %}\n\ny",
    "{% for m in messages %}\n{{ m.role }}\n{% if not loop.last %}\n,\n{% endif %}\n{% endfor %}\nend\n", "{%for m in messages%}{{m.role}}{%endfor%}", "{%-for m in messages-%} {{-m.role-}} {%-endfor-%}", "{{messages[0].role}}{{messages[0]['content']|trim}}", "a{% if yes %}b{% endif %}\n\n{% if yes %}c{% endif %}\nd",
    "{% set r = messages | selectattr('role', 'eq', 'user') %}{% for m in r %}a{% endfor %}{% for m in r %}b{% endfor %}", "{% set r = numbers | map('string') %}{{ r | first }}{{ r | list }}{{ r | list }}", "{% for i in numbers | reverse %}{{ i }}{% endfor %}", "{% for i in numbers[::-1] %}{{ i }}{{ loop.index }}{% endfor %}",
    "{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ s | trim }}{{ rest | length }}", "{{ '<' ~ bos_token ~ eos_token ~ '>' }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}", "{{ messages[2].content.split('</think>')[-1].lstrip('\\n') }}", "{% if '</think>' in messages[2].content %}{{ messages[2].content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}{% endif %}",
    "{% for t in messages[2].tool_calls %}{{ t.function.name }}{% for k, v in t.function.arguments | items %}{{ k }}:{{ v | tojson if v is not string else v }};{% endfor %}{% endfor %}", "{% for c in 'ab' %}{{ loop.nextitem }}{% endfor %}", "a{#b#}c{##}d", "{{ 'a' }}  \n  {{ 'b' }}", "\n\n{% if yes %}x{% endif %}", "  {{ 1 }}", "  {%- if yes %} x{% endif %}",
    "{{ ['a', 'b'] | join(', ') if yes }}", "{% if nope %}a{% endif %}{% if not nope %}b{% endif %}", "{% if nope.a %}{% endif %}", "{% if nope is defined and nope.a %}{% else %}ok{% endif %}", "{{ namespace(a=1)['a'] }}", "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{{ ns.a }}",
    "{% set d = {'a': 1} %}{% set d = dict(d, b=2) %}{{ d }}", "{% for i in range(3) -%}\n  {{ i }}\n{%- endfor %}", "{% for i in range(3) %}\n  {{ i }}\n{% endfor %}x", "{%\nset\na\n=\n1\n%}{{\na\n}}", "{{ range(3) }}", "{% macro m(a=1, b) %}{% endmacro %}",
    "{{ foo(*[1, 2], **{}) }}", "{% macro f(a, b, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(*[1, 2], c=3) }}{{ f(**{'a': 1, 'b': 2}) }}", "{{ dict(**{'a': 1}) }}", "{{ f(a=1, 2) }}", "{{ (1, 2) | join('-') }}", "\u00a0{%- if yes %}\u2003 x {%- endif %}", "{{ 1 -}}\u2003x", "é{% if yes %}ü{% endif %}",
]

FRAGMENTS = ["{{ " + line + " }}" for line in EXPRESSIONS.strip().splitlines() if line.strip()] + PROGRAMS
