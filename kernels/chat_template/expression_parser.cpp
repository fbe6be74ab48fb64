#include "kernels/chat_template/expression_parser.hpp"

#include <algorithm>
#include <array>

namespace troupe::kernels::chat {

namespace {

// Jinja2 has these functions; chat templates do not.
constexpr std::array<std::string_view, 3> functions_left_out = {"cycler", "joiner", "lipsum"};

class depth_guard {
 public:
  depth_guard(std::size_t& depth, std::size_t most, source_place at) : depth_(depth) {
    if (depth_ >= most)
      token_reader::fail_at(at, "expressions are nested deeper than " + std::to_string(most));
    ++depth_;
  }
  ~depth_guard() { --depth_; }
  depth_guard(const depth_guard&) = delete;
  depth_guard& operator=(const depth_guard&) = delete;

 private:
  std::size_t& depth_;
};

template <class Row, std::size_t count>
const Row* find_sign(const Row (&rows)[count], const token_reader& tokens) {
  const Row* row = std::find_if(std::begin(rows), std::end(rows),
                                [&](const Row& r) { return tokens.at_sign(r.first); });
  return row == std::end(rows) ? nullptr : row;
}

using operator_row = std::pair<std::string_view, binary_operator>;
constexpr operator_row sum_signs[] = {{"+", binary_operator::add},
                                      {"-", binary_operator::subtract}};
constexpr operator_row product_signs[] = {{"*", binary_operator::multiply},
                                          {"/", binary_operator::divide},
                                          {"//", binary_operator::floor_divide},
                                          {"%", binary_operator::modulo}};
constexpr operator_row power_signs[] = {{"**", binary_operator::power}};
constexpr std::pair<std::string_view, comparison> comparison_signs[] = {
    {"==", comparison::equal},      {"!=", comparison::unequal}, {"<", comparison::less},
    {"<=", comparison::less_equal}, {">", comparison::greater},  {">=", comparison::greater_equal}};

}  // namespace

expression_ptr expression_parser::make(source_place at, expression_form form) const {
  const std::size_t depth = 1 + depth_below(form);
  if (depth > nesting_)
    token_reader::fail_at(at, "expressions are nested deeper than " + std::to_string(nesting_));
  return std::make_unique<const expression>(expression{at, depth, std::move(form)});
}

bool expression_parser::tuple_ends() const {
  return tokens_.at(token_kind::variable_end) || tokens_.at(token_kind::block_end) ||
         tokens_.at_sign(")");
}

expression_ptr expression_parser::tuple_here(bool with_condition) {
  const source_place at = tokens_.front().at;
  const auto part = [&] { return with_condition ? conditional() : logical_or(); };
  std::vector<expression_ptr> items;
  items.push_back(part());
  bool tuple = false;
  while (tokens_.take_sign(",")) {
    tuple = true;
    if (tuple_ends()) break;
    items.push_back(part());
  }
  if (!tuple) return std::move(items.front());
  return make(at, list_form{sequence_kind::tuple, std::move(items)});
}

expression_ptr expression_parser::conditional() {
  const source_place at = tokens_.front().at;
  expression_ptr then = logical_or();
  while (tokens_.take_name("if")) {
    expression_ptr condition = logical_or();
    expression_ptr otherwise;
    if (tokens_.take_name("else")) {
      const depth_guard guard(depth_, nesting_, at);
      otherwise = conditional();
    }
    then = make(at, conditional_form{std::move(condition), std::move(then), std::move(otherwise)});
  }
  return then;
}

expression_ptr expression_parser::logical_or() {
  const source_place at = tokens_.front().at;
  std::vector<expression_ptr> parts;
  parts.push_back(logical_and());
  while (tokens_.take_name("or")) parts.push_back(logical_and());
  if (parts.size() == 1) return std::move(parts.front());
  return make(at, logic_form{false, std::move(parts)});
}

expression_ptr expression_parser::logical_and() {
  const source_place at = tokens_.front().at;
  std::vector<expression_ptr> parts;
  parts.push_back(logical_not());
  while (tokens_.take_name("and")) parts.push_back(logical_not());
  if (parts.size() == 1) return std::move(parts.front());
  return make(at, logic_form{true, std::move(parts)});
}

expression_ptr expression_parser::logical_not() {
  const source_place at = tokens_.front().at;
  if (!tokens_.take_name("not")) return comparisons();
  const depth_guard guard(depth_, nesting_, at);
  return make(at, unary_form{unary_operator::logical_not, logical_not()});
}

expression_ptr expression_parser::comparisons() {
  const source_place at = tokens_.front().at;
  expression_ptr first = sum();
  std::vector<std::pair<comparison, expression_ptr>> rest;
  for (;;) {
    if (const auto* row = find_sign(comparison_signs, tokens_)) {
      tokens_.take();
      rest.emplace_back(row->second, sum());
    } else if (tokens_.take_name("in")) {
      rest.emplace_back(comparison::in, sum());
    } else if (tokens_.at_name("not") && tokens_.second().kind == token_kind::name &&
               tokens_.second().text == "in") {
      tokens_.take();
      tokens_.take();
      rest.emplace_back(comparison::not_in, sum());
    } else {
      break;
    }
  }
  if (rest.empty()) return first;
  return make(at, comparison_form{std::move(first), std::move(rest)});
}

expression_ptr expression_parser::sum() {
  const source_place at = tokens_.front().at;
  expression_ptr first = concatenation();
  std::vector<std::pair<binary_operator, expression_ptr>> rest;
  while (const auto* row = find_sign(sum_signs, tokens_)) {
    tokens_.take();
    rest.emplace_back(row->second, concatenation());
  }
  if (rest.empty()) return first;
  return make(at, chain_form{std::move(first), std::move(rest)});
}

expression_ptr expression_parser::concatenation() {
  const source_place at = tokens_.front().at;
  std::vector<expression_ptr> parts;
  parts.push_back(product());
  while (tokens_.take_sign("~")) parts.push_back(product());
  if (parts.size() == 1) return std::move(parts.front());
  return make(at, concatenation_form{std::move(parts)});
}

expression_ptr expression_parser::product() {
  const source_place at = tokens_.front().at;
  expression_ptr first = power();
  std::vector<std::pair<binary_operator, expression_ptr>> rest;
  while (const auto* row = find_sign(product_signs, tokens_)) {
    tokens_.take();
    rest.emplace_back(row->second, power());
  }
  if (rest.empty()) return first;
  return make(at, chain_form{std::move(first), std::move(rest)});
}

expression_ptr expression_parser::power() {
  const source_place at = tokens_.front().at;
  expression_ptr first = unary();
  std::vector<std::pair<binary_operator, expression_ptr>> rest;
  while (const auto* row = find_sign(power_signs, tokens_)) {
    tokens_.take();
    rest.emplace_back(row->second, unary());
  }
  if (rest.empty()) return first;
  return make(at, chain_form{std::move(first), std::move(rest)});
}

expression_ptr expression_parser::unary(bool with_filters) {
  const source_place at = tokens_.front().at;
  const depth_guard guard(depth_, nesting_, at);
  expression_ptr of;
  if (tokens_.take_sign("-"))
    of = make(at, unary_form{unary_operator::negate, unary(false)});
  else if (tokens_.take_sign("+"))
    of = make(at, unary_form{unary_operator::plus, unary(false)});
  else
    of = primary();
  of = postfix(std::move(of));
  return with_filters ? filters_and_tests(std::move(of)) : std::move(of);
}

expression_ptr expression_parser::primary() {
  const source_place at = tokens_.front().at;
  switch (tokens_.front().kind) {
    case token_kind::name:
      return name_or_constant();
    case token_kind::string: {
      std::string text = tokens_.take().text;
      while (tokens_.at(token_kind::string)) text += tokens_.take().text;
      return make(at, literal_form{std::string_view{}, std::move(text)});
    }
    case token_kind::integer:
      return make(at, literal_form{tokens_.take().integer, {}});
    case token_kind::real:
      return make(at, literal_form{tokens_.take().real, {}});
    default:
      break;
  }
  if (tokens_.take_sign("(")) return in_parentheses(at);
  if (tokens_.take_sign("[")) return list(at);
  if (tokens_.take_sign("{")) return dict(at);
  tokens_.fail_expected("an expression");
}

expression_ptr expression_parser::name_or_constant() {
  const token name = tokens_.take();
  const std::string& text = name.text;
  if (text == "true" || text == "True") return make(name.at, literal_form{true, {}});
  if (text == "false" || text == "False") return make(name.at, literal_form{false, {}});
  if (text == "none" || text == "None") return make(name.at, literal_form{none_value{}, {}});
  if (std::count(functions_left_out.begin(), functions_left_out.end(), text) > 0 &&
      tokens_.at_sign("("))
    token_reader::fail_unsupported_at(name.at, "the function '" + text + "' is not supported");
  if (text == "varargs") seen.varargs = true;
  if (text == "kwargs") seen.kwargs = true;
  if (text == "caller") seen.caller = true;
  return make(name.at, name_form{text});
}

expression_ptr expression_parser::in_parentheses(source_place at) {
  if (tokens_.take_sign(")")) return make(at, list_form{sequence_kind::tuple, {}});
  expression_ptr inside = tuple_here();
  tokens_.expect_sign(")");
  return inside;
}

expression_ptr expression_parser::list(source_place at) {
  std::vector<expression_ptr> items;
  while (!tokens_.at_sign("]")) {
    if (!items.empty()) tokens_.expect_sign(",");
    if (tokens_.at_sign("]")) break;
    items.push_back(conditional());
  }
  tokens_.expect_sign("]");
  return make(at, list_form{sequence_kind::list, std::move(items)});
}

expression_ptr expression_parser::dict(source_place at) {
  std::vector<std::pair<expression_ptr, expression_ptr>> entries;
  while (!tokens_.at_sign("}")) {
    if (!entries.empty()) tokens_.expect_sign(",");
    if (tokens_.at_sign("}")) break;
    expression_ptr key = conditional();
    tokens_.expect_sign(":");
    entries.emplace_back(std::move(key), conditional());
  }
  tokens_.expect_sign("}");
  return make(at, mapping_form{std::move(entries)});
}

expression_ptr expression_parser::postfix(expression_ptr of) {
  for (;;) {
    const source_place at = tokens_.front().at;
    if (tokens_.take_sign(".")) {
      if (tokens_.at(token_kind::integer)) {
        auto key = make(at, literal_form{tokens_.take().integer, {}});
        of = make(at, item_form{std::move(of), std::move(key)});
      } else {
        of =
            make(at, attribute_form{std::move(of), tokens_.expect_any_name("an attribute's name")});
      }
    } else if (tokens_.take_sign("[")) {
      of = subscript(std::move(of), at);
    } else if (tokens_.at_sign("(")) {
      of = call(std::move(of));
    } else {
      return of;
    }
  }
}

expression_ptr expression_parser::subscript(expression_ptr of, source_place at) {
  expression_ptr parts[3];
  bool slice = false;
  for (std::size_t place = 0; place < 3; ++place) {
    if (!tokens_.at_sign(":") && !tokens_.at_sign("]")) parts[place] = conditional();
    if (!tokens_.take_sign(":")) break;
    slice = true;
  }
  if (tokens_.at_sign(","))
    token_reader::fail_unsupported_at(tokens_.front().at, "more than one index is not supported");
  if (!slice && !parts[0]) tokens_.fail_expected("an index");
  tokens_.expect_sign("]");
  if (!slice) return make(at, item_form{std::move(of), std::move(parts[0])});
  return make(
      at, slice_form{std::move(of), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])});
}

expression_ptr expression_parser::filters_and_tests(expression_ptr of) {
  for (;;) {
    if (tokens_.take_sign("|"))
      of = filter(std::move(of));
    else if (tokens_.take_name("is"))
      of = test(std::move(of));
    else if (tokens_.at_sign("("))
      of = call(std::move(of));
    else
      return of;
  }
}

expression_ptr expression_parser::filter(expression_ptr of) {
  const source_place at = tokens_.front().at;
  std::string name = tokens_.expect_any_name("a filter's name");
  while (tokens_.take_sign(".")) name += "." + tokens_.expect_any_name("a filter's name");
  const filter_row* row = find_filter(name);
  if (!row) token_reader::fail_unsupported_at(at, "the filter '" + name + "' is not supported");
  argument_list given;
  if (tokens_.at_sign("(")) given = arguments();
  return make(at, filter_form{std::move(of), row, std::move(given)});
}

expression_ptr expression_parser::test(expression_ptr of) {
  const bool negated = tokens_.take_name("not");
  const source_place at = tokens_.front().at;
  std::string name = tokens_.expect_any_name("a test's name");
  while (tokens_.take_sign(".")) name += "." + tokens_.expect_any_name("a test's name");
  const value_test_row* row = find_value_test(name);
  if (!row) token_reader::fail_unsupported_at(at, "the test '" + name + "' is not supported");
  argument_list given;
  const token& next = tokens_.front();
  if (tokens_.at_sign("(")) {
    given = arguments();
  } else if (next.kind == token_kind::name || next.kind == token_kind::string ||
             next.kind == token_kind::integer || next.kind == token_kind::real ||
             tokens_.at_sign("[") || tokens_.at_sign("{")) {
    if (tokens_.at_name("is")) token_reader::fail_at(next.at, "tests cannot be chained with 'is'");
    if (!tokens_.at_name("else") && !tokens_.at_name("or") && !tokens_.at_name("and"))
      given.positional.push_back(postfix(primary()));
  }
  expression_ptr made = make(at, test_form{std::move(of), row, std::move(given)});
  if (!negated) return made;
  return make(at, unary_form{unary_operator::logical_not, std::move(made)});
}

expression_ptr expression_parser::call(expression_ptr of) {
  const source_place at = of->at;
  return make(at, call_form{std::move(of), arguments()});
}

argument_list expression_parser::arguments() {
  argument_list given;
  tokens_.expect_sign("(");
  bool first = true;
  while (!tokens_.at_sign(")")) {
    if (!std::exchange(first, false)) tokens_.expect_sign(",");
    if (tokens_.at_sign(")")) break;
    const token& front = tokens_.front();
    const bool named = front.kind == token_kind::name &&
                       tokens_.second().kind == token_kind::sign && tokens_.second().text == "=";
    if (given.named_rest || (!named && !tokens_.at_sign("*") && !tokens_.at_sign("**") &&
                             (given.rest || !given.named.empty())))
      token_reader::fail_at(front.at, "an argument stands in the wrong place");
    if (tokens_.take_sign("**")) {
      given.named_rest = conditional();
    } else if (tokens_.at_sign("*")) {
      if (given.rest || !given.named.empty())
        token_reader::fail_at(front.at, "an argument stands in the wrong place");
      tokens_.take();
      given.rest = conditional();
    } else if (named) {
      std::string name = tokens_.take().text;
      tokens_.take();
      given.named.emplace_back(std::move(name), conditional());
    } else {
      given.positional.push_back(conditional());
    }
  }
  tokens_.expect_sign(")");
  return given;
}

expression_ptr expression_parser::filters_of_captured(bool first_has_bar) {
  expression_ptr of = make(tokens_.front().at, captured_form{});
  if (!first_has_bar) of = filter(std::move(of));
  while (tokens_.take_sign("|")) of = filter(std::move(of));
  return of;
}

expression_ptr expression_parser::call_here() {
  const source_place at = tokens_.front().at;
  expression_ptr parsed = conditional();
  if (!std::holds_alternative<call_form>(parsed->form))
    token_reader::fail_at(at, "expected a call of a macro");
  return parsed;
}

}  // namespace troupe::kernels::chat
