// Expressions of the interpreter.
#include "kernels/chat_template/arithmetic.hpp"
#include "kernels/chat_template/interpreter.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"

namespace troupe::kernels::chat {

namespace {

constexpr std::string_view no_else =
    "the inline if-expression evaluated to false and no else section was defined.";

}  // namespace

value interpreter::evaluate(const expression& e) {
  run_.spend();
  run_.at = e.at;
  enter();
  value made = std::visit([&](const auto& form) { return evaluate_form(e, form); }, e.form);
  --depth_;
  return made;
}

value interpreter::evaluate_form(const expression&, const literal_form& f) {
  return is_text(f.constant) ? value(std::string_view(f.text)) : f.constant;
}

const value* interpreter::find_variable(std::string_view name) const {
  for (const scope* at = here_; at; at = at->outer)
    for (const auto& [known, held] : at->names)
      if (known == name) return &held;
  return nullptr;
}

value interpreter::evaluate_form(const expression&, const name_form& f) {
  const value* held = find_variable(f.name);
  return held ? *held : undefined_value{f.name, {}};
}

value interpreter::evaluate_form(const expression&, const captured_form&) {
  return captured_;
}

value interpreter::evaluate_form(const expression&, const list_form& f) {
  std::vector<value> items;
  items.reserve(f.items.size());
  for (const auto& item : f.items) items.push_back(evaluate(*item));
  return run_.make_sequence(f.kind, std::move(items));
}

value interpreter::evaluate_form(const expression& e, const mapping_form& f) {
  mapping made;
  for (const auto& [key, held] : f.entries) {
    const value name = evaluate(*key), to = evaluate(*held);
    run_.at = e.at;
    set_entry(run_, made, name, to);
  }
  return run_.make_mapping(std::move(made.entries));
}

value interpreter::evaluate_form(const expression& e, const attribute_form& f) {
  const value of = evaluate(*f.of);
  run_.at = e.at;
  return attribute_of(run_, of, f.name);
}

value interpreter::evaluate_form(const expression& e, const item_form& f) {
  const value of = evaluate(*f.of), key = evaluate(*f.key);
  run_.at = e.at;
  return item_of(run_, of, key);
}

value interpreter::evaluate_form(const expression& e, const slice_form& f) {
  const value of = evaluate(*f.of), start = evaluate_or_none(f.start),
              stop = evaluate_or_none(f.stop), step = evaluate_or_none(f.step);
  run_.at = e.at;
  return slice_of(run_, of, start, stop, step);
}

call_arguments interpreter::evaluate_arguments(const argument_list& given) {
  call_arguments made;
  for (const auto& one : given.positional) made.positional.push_back(evaluate(*one));
  if (given.rest) {
    const auto items = items_of(run_, evaluate(*given.rest));
    made.positional.insert(made.positional.end(), items.begin(), items.end());
  }
  for (const auto& [name, one] : given.named) made.named.emplace_back(name, evaluate(*one));
  if (given.named_rest) {
    const value rest = evaluate(*given.named_rest);
    const mapping* entries = as_mapping(rest);
    if (!entries) fail("argument after ** must be a mapping, not " + std::string(type_name(rest)));
    for (const auto& [name, held] : entries->entries) {
      if (!is_text(name)) fail("keywords must be strings");
      made.named.emplace_back(std::get<std::string_view>(name), held);
    }
  }
  return made;
}

value interpreter::evaluate_form(const expression& e, const call_form& f) {
  const value callee = evaluate(*f.callee);
  const call_arguments given = evaluate_arguments(f.given);
  run_.at = e.at;
  return call(callee, given);
}

value interpreter::call(const value& what, const call_arguments& given) {
  if (is_undefined(what)) fail_undefined(what);
  callable* const* made = std::get_if<callable*>(&what);
  if (!made) fail("'" + std::string(type_name(what)) + "' object is not callable");
  if ((*made)->run) return (*made)->run(run_, (*made)->self, given);
  return call_macro(**made, given);
}

value interpreter::call_macro(const callable& made, const call_arguments& given) {
  if (macro_depth_ == run_.bounds.macro_depth)
    fail("macros call each other deeper than " + std::to_string(run_.bounds.macro_depth));
  ++macro_depth_;
  scope* const around = here_;
  here_ = run_.make_scope(made.home);
  bind_parameters(made, given, *here_);
  const value written = captured(made.macro->body);
  here_ = around;
  --macro_depth_;
  return written;
}

void interpreter::bind_parameters(const callable& made, const call_arguments& given, scope& into) {
  const macro_definition& macro = *made.macro;
  const std::size_t count = macro.parameters.size();
  const std::string name = "macro '" + macro.name + "'";
  std::vector<bool> bound(count);
  for (std::size_t i = 0; i < std::min(count, given.positional.size()); ++i) {
    into.assign(macro.parameters[i].name, given.positional[i]);
    bound[i] = true;
  }
  std::vector<value> rest(given.positional.begin() +
                              static_cast<std::ptrdiff_t>(std::min(count, given.positional.size())),
                          given.positional.end());
  if (!rest.empty() && !macro.takes_rest)
    fail(name + " takes not more than " + std::to_string(count) + " argument(s)");
  std::vector<std::pair<value, value>> named_rest;
  value caller = undefined_value{"caller", {}};
  for (const auto& [key, held] : given.named) {
    std::size_t place = 0;
    while (place < count && macro.parameters[place].name != key) ++place;
    if (place < count && bound[place])
      fail(name + " got two values for '" + std::string(key) + "'");
    if (place < count) {
      into.assign(key, held);
      bound[place] = true;
    } else if (key == "caller" && macro.takes_caller) {
      caller = held;
    } else if (macro.takes_named_rest) {
      named_rest.emplace_back(key, held);
    } else {
      fail(name + " takes no keyword argument '" + std::string(key) + "'");
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const macro_parameter& parameter = macro.parameters[i];
    if (bound[i]) continue;
    into.assign(parameter.name, undefined_value{parameter.name, {}});
    if (parameter.fallback) into.assign(parameter.name, evaluate(*parameter.fallback));
  }
  if (macro.takes_caller) into.assign("caller", caller);
  if (macro.takes_rest)
    into.assign("varargs", run_.make_sequence(sequence_kind::tuple, std::move(rest)));
  if (macro.takes_named_rest) into.assign("kwargs", run_.make_mapping(std::move(named_rest)));
}

value interpreter::evaluate_form(const expression& e, const filter_form& f) {
  const value input = evaluate(*f.input);
  const call_arguments given = evaluate_arguments(f.given);
  run_.at = e.at;
  return f.filter->run(run_, input, given);
}

value interpreter::evaluate_form(const expression& e, const test_form& f) {
  const value input = evaluate(*f.input);
  const call_arguments given = evaluate_arguments(f.given);
  run_.at = e.at;
  return f.test->holds(run_, input, given);
}

value interpreter::evaluate_form(const expression& e, const unary_form& f) {
  const value of = evaluate(*f.of);
  run_.at = e.at;
  if (f.what == unary_operator::logical_not) return !is_true(of);
  const value minus = negated(of);
  if (f.what == unary_operator::negate) return minus;
  if (const auto integer = integer_of(of)) return *integer;
  return of;
}

value interpreter::evaluate_form(const expression& e, const chain_form& f) {
  value made = evaluate(*f.first);
  for (const auto& [what, operand] : f.rest) {
    const value right = evaluate(*operand);
    run_.at = e.at;
    made = combine(run_, what, made, right);
  }
  return made;
}

value interpreter::evaluate_form(const expression& e, const concatenation_form& f) {
  std::vector<value> parts;
  for (const auto& part : f.parts) parts.push_back(evaluate(*part));
  run_.at = e.at;
  text_builder out(run_);
  for (const value& part : parts) add_text(out, part);
  return out.finish();
}

bool interpreter::compare(comparison what, const value& a, const value& b) {
  switch (what) {
    case comparison::equal:
      return equals(run_, a, b);
    case comparison::unequal:
      return !equals(run_, a, b);
    case comparison::in:
      return contains(run_, b, a);
    case comparison::not_in:
      return !contains(run_, b, a);
    default:
      break;
  }
  const int placed = order(run_, a, b);
  switch (what) {
    case comparison::less:
      return placed < 0;
    case comparison::less_equal:
      return placed <= 0;
    case comparison::greater:
      return placed > 0;
    default:
      return placed >= 0;
  }
}

value interpreter::evaluate_form(const expression& e, const comparison_form& f) {
  value left = evaluate(*f.first);
  for (const auto& [what, operand] : f.rest) {
    value right = evaluate(*operand);
    run_.at = e.at;
    if (!compare(what, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

value interpreter::evaluate_form(const expression&, const logic_form& f) {
  value made;
  for (const auto& part : f.parts) {
    made = evaluate(*part);
    if (is_true(made) != f.all) break;
  }
  return made;
}

value interpreter::evaluate_form(const expression&, const conditional_form& f) {
  if (is_true(evaluate(*f.condition))) return evaluate(*f.then);
  return f.otherwise ? evaluate(*f.otherwise) : undefined_value{{}, no_else};
}

}  // namespace troupe::kernels::chat
