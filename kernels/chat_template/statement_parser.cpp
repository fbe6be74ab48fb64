#include "kernels/chat_template/statement_parser.hpp"

#include <algorithm>
#include <array>

#include "kernels/chat_template/expression_parser.hpp"

namespace troupe::kernels::chat {

namespace {

using ends = std::initializer_list<std::string_view>;

constexpr std::array<std::string_view, 9> tags_left_out = {
    "include", "import", "from", "extends", "block", "do", "autoescape", "print", "trans"};

constexpr std::array<std::string_view, 6> constants = {"true",  "True", "false",
                                                       "False", "none", "None"};

class statement_parser {
 public:
  statement_parser(std::vector<token> tokens, const chat_template_bounds& bounds)
      : tokens_(std::move(tokens)),
        expressions_(tokens_, bounds.nesting),
        nesting_(bounds.nesting) {}

  block whole() { return statements({}, {}); }

 private:
  // Until a block tag of one of these names, which is not taken; with none, until the end.
  block statements(ends names, source_place opened);
  void one_statement(block& into);
  statement tag();
  statement if_tag(source_place at);
  statement for_tag(source_place at);
  statement set_tag(source_place at);
  statement filter_tag(source_place at);
  statement with_tag(source_place at);
  statement generation_tag(source_place at);
  statement macro_tag(source_place at);
  statement call_tag(source_place at);
  statement loop_exit(const token& name);
  std::vector<macro_parameter> parameters();
  // Of a macro or call block, with what the body speaks of.
  void body_of(macro_definition& macro, std::string_view end, source_place at);
  assignment_target target(bool may_be_attribute);
  assignment_target one_target(bool may_be_attribute);
  block body_until(std::string_view end, source_place at);
  // Like body_until, but `break` cannot leave it.
  block closed_body(std::string_view end, source_place at);
  void begin_tag(std::string_view name) { tokens_.take(), tokens_.expect_name(name); }
  void end_tag() { tokens_.expect(token_kind::block_end, "'%}'"); }

  token_reader tokens_;
  expression_parser expressions_;
  std::size_t nesting_;
  std::size_t depth_ = 0;
  std::size_t loops_ = 0;  // around this place
};

bool is_one_of(const token& t, ends names) {
  return t.kind == token_kind::name && std::count(names.begin(), names.end(), t.text) > 0;
}

block statement_parser::statements(ends names, source_place opened) {
  if (++depth_ > nesting_)
    token_reader::fail_at(opened, "blocks are nested deeper than " + std::to_string(nesting_));
  block made;
  for (;;) {
    if (tokens_.at(token_kind::end)) {
      if (names.size() == 0) break;
      std::string wanted;
      for (const auto name : names) wanted += (wanted.empty() ? "'" : "' or '") + std::string(name);
      token_reader::fail_at(opened, "this block has no end: expected " + wanted + "'");
    }
    if (tokens_.at(token_kind::block_begin) && is_one_of(tokens_.second(), names)) break;
    one_statement(made);
  }
  --depth_;
  return made;
}

void statement_parser::one_statement(block& into) {
  const source_place at = tokens_.front().at;
  if (tokens_.at(token_kind::text)) {
    into.push_back({at, text_statement{tokens_.take().text}});
  } else if (tokens_.at(token_kind::variable_begin)) {
    tokens_.take();
    into.push_back({at, output_statement{expressions_.tuple_here()}});
    tokens_.expect(token_kind::variable_end, "'}}'");
  } else {
    tokens_.expect(token_kind::block_begin, "a tag");
    into.push_back(tag());
  }
}

statement statement_parser::tag() {
  if (!tokens_.at(token_kind::name)) tokens_.fail_expected("the name of a block");
  const token name = tokens_.take();
  if (name.text == "if") return if_tag(name.at);
  if (name.text == "for") return for_tag(name.at);
  if (name.text == "set") return set_tag(name.at);
  if (name.text == "macro") return macro_tag(name.at);
  if (name.text == "call") return call_tag(name.at);
  if (name.text == "filter") return filter_tag(name.at);
  if (name.text == "with") return with_tag(name.at);
  if (name.text == "generation") return generation_tag(name.at);
  if (name.text == "break" || name.text == "continue") return loop_exit(name);
  if (std::count(tags_left_out.begin(), tags_left_out.end(), name.text) > 0)
    token_reader::fail_unsupported_at(name.at, "the block '" + name.text + "' is not supported");
  token_reader::fail_at(name.at, "unknown or misplaced block '" + name.text + "'");
}

statement statement_parser::loop_exit(const token& name) {
  if (loops_ == 0) token_reader::fail_at(name.at, "'" + name.text + "' outside of a loop");
  end_tag();
  if (name.text == "break") return {name.at, break_statement{}};
  return {name.at, continue_statement{}};
}

statement statement_parser::if_tag(source_place at) {
  if_statement made;
  for (;;) {
    expression_ptr condition = expressions_.tuple_here(false);
    end_tag();
    made.branches.emplace_back(std::move(condition), statements({"elif", "else", "endif"}, at));
    tokens_.take();  // block_begin
    if (!tokens_.take_name("elif")) break;
  }
  if (tokens_.take_name("else")) {
    end_tag();
    made.otherwise = statements({"endif"}, at);
    tokens_.take();
  }
  tokens_.expect_name("endif");
  end_tag();
  return {at, std::move(made)};
}

statement statement_parser::for_tag(source_place at) {
  for_statement made;
  made.target = target(false);
  tokens_.expect_name("in");
  made.over = expressions_.tuple_here(false);
  if (tokens_.take_name("if")) made.condition = expressions_.expression_here();
  if (tokens_.at_name("recursive"))
    token_reader::fail_unsupported_at(tokens_.front().at, "recursive loops are not supported");
  end_tag();
  ++loops_;
  made.body = statements({"else", "endfor"}, at);
  --loops_;
  tokens_.take();
  if (tokens_.take_name("else")) {
    end_tag();
    made.otherwise = statements({"endfor"}, at);
    tokens_.take();
  }
  tokens_.expect_name("endfor");
  end_tag();
  return {at, std::move(made)};
}

assignment_target statement_parser::one_target(bool may_be_attribute) {
  assignment_target made;
  made.at = tokens_.front().at;
  if (tokens_.take_sign("(")) {
    made = target(may_be_attribute);
    tokens_.expect_sign(")");
    return made;
  }
  made.name = tokens_.expect_any_name("a variable's name");
  if (std::count(constants.begin(), constants.end(), made.name) > 0)
    token_reader::fail_at(made.at, "'" + made.name + "' cannot be assigned to");
  if (may_be_attribute && tokens_.take_sign("."))
    made.attribute = tokens_.expect_any_name("an attribute's name");
  return made;
}

assignment_target statement_parser::target(bool may_be_attribute) {
  const source_place at = tokens_.front().at;
  if (++depth_ > nesting_)
    token_reader::fail_at(at, "targets are nested deeper than " + std::to_string(nesting_));
  assignment_target first = one_target(may_be_attribute);
  if (tokens_.at_sign(",")) {
    assignment_target made;
    made.at = at;
    made.parts.push_back(std::move(first));
    while (tokens_.take_sign(",")) {
      if (!tokens_.at(token_kind::name) && !tokens_.at_sign("(")) break;
      if (tokens_.at_name("in")) break;
      made.parts.push_back(one_target(may_be_attribute));
    }
    first = std::move(made);
  }
  --depth_;
  return first;
}

block statement_parser::body_until(std::string_view end, source_place at) {
  block body = statements({end}, at);
  begin_tag(end);
  return body;
}

block statement_parser::closed_body(std::string_view end, source_place at) {
  const std::size_t loops = std::exchange(loops_, 0);
  block body = body_until(end, at);
  loops_ = loops;
  return body;
}

statement statement_parser::set_tag(source_place at) {
  assignment_target to = target(true);
  if (tokens_.take_sign("=")) {
    set_statement made{std::move(to), expressions_.tuple_here()};
    end_tag();
    return {at, std::move(made)};
  }
  if (!to.parts.empty()) tokens_.fail_expected("'='");
  capture_statement made{std::move(to), {}, expressions_.filters_of_captured(true)};
  end_tag();
  made.body = closed_body("endset", at);
  end_tag();
  return {at, std::move(made)};
}

statement statement_parser::filter_tag(source_place at) {
  capture_statement made{std::nullopt, {}, expressions_.filters_of_captured(false)};
  end_tag();
  made.body = closed_body("endfilter", at);
  end_tag();
  return {at, std::move(made)};
}

statement statement_parser::with_tag(source_place at) {
  with_statement made;
  while (!tokens_.at(token_kind::block_end)) {
    if (!made.variables.empty()) tokens_.expect_sign(",");
    assignment_target to = one_target(false);
    tokens_.expect_sign("=");
    made.variables.emplace_back(std::move(to), expressions_.expression_here());
  }
  end_tag();
  made.body = body_until("endwith", at);
  end_tag();
  return {at, std::move(made)};
}

// Marks what an assistant said, for training; it is shown as it is.
statement statement_parser::generation_tag(source_place at) {
  with_statement made;
  end_tag();
  made.body = closed_body("endgeneration", at);
  end_tag();
  return {at, std::move(made)};
}

std::vector<macro_parameter> statement_parser::parameters() {
  std::vector<macro_parameter> made;
  tokens_.expect_sign("(");
  while (!tokens_.at_sign(")")) {
    if (!made.empty()) tokens_.expect_sign(",");
    macro_parameter parameter{tokens_.expect_any_name("a parameter's name"), nullptr};
    if (tokens_.take_sign("="))
      parameter.fallback = expressions_.expression_here();
    else if (!made.empty() && made.back().fallback)
      tokens_.fail_expected("'=', since the parameter before has a default,");
    made.push_back(std::move(parameter));
  }
  tokens_.expect_sign(")");
  return made;
}

void statement_parser::body_of(macro_definition& macro, std::string_view end, source_place at) {
  const auto around = std::exchange(expressions_.seen, {});
  macro.body = closed_body(end, at);
  const auto inside = std::exchange(expressions_.seen, around);
  macro.takes_rest = inside.varargs;
  macro.takes_named_rest = inside.kwargs;
  macro.takes_caller = inside.caller;
}

statement statement_parser::macro_tag(source_place at) {
  auto macro = std::make_shared<macro_definition>();
  macro->name = tokens_.expect_any_name("a macro's name");
  macro->parameters = parameters();
  end_tag();
  body_of(*macro, "endmacro", at);
  end_tag();
  return {at, macro_statement{std::move(macro)}};
}

statement statement_parser::call_tag(source_place at) {
  auto caller = std::make_shared<macro_definition>();
  caller->name = "caller";
  if (tokens_.at_sign("(")) caller->parameters = parameters();
  expression_ptr call = expressions_.call_here();
  end_tag();
  body_of(*caller, "endcall", at);
  end_tag();
  return {at, call_statement{std::move(caller), std::move(call)}};
}

}  // namespace

program parse_program(std::string_view source, const chat_template_bounds& bounds) {
  program made{bounds, {}};
  made.body = statement_parser(read_tokens(normal_source(source)), bounds).whole();
  return made;
}

}  // namespace troupe::kernels::chat
