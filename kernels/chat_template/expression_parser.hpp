// Parses expressions by Jinja2's precedence, from the loosest: condition, or, and, not, comparison,
// + -, ~, * / // %, **, sign, then attributes, items, calls, filters and tests.
#pragma once

#include "kernels/chat_template/syntax_tree.hpp"
#include "kernels/chat_template/token_reader.hpp"

namespace troupe::kernels::chat {

class expression_parser {
 public:
  expression_parser(token_reader& tokens, std::size_t nesting)
      : tokens_(tokens), nesting_(nesting) {}

  expression_ptr expression_here() { return conditional(); }
  // One expression, or a tuple without brackets. The iterable of a loop has no condition, since
  // the loop's own `if` follows it.
  expression_ptr tuple_here(bool with_condition = true);
  // The filters of a block: `| a | b`, or for a filter block `a | b`.
  expression_ptr filters_of_captured(bool first_has_bar);
  // An expression that is no call: as `{% call %}` needs it.
  expression_ptr call_here();
  expression_ptr make(source_place at, expression_form form) const;

  // Since the last reset: did a name of this kind come up? Macros take what they speak of.
  struct names_seen {
    bool varargs = false, kwargs = false, caller = false;
  };
  names_seen seen;

 private:
  expression_ptr conditional();
  expression_ptr logical_or();
  expression_ptr logical_and();
  expression_ptr logical_not();
  expression_ptr comparisons();
  expression_ptr sum();
  expression_ptr concatenation();
  expression_ptr product();
  expression_ptr power();
  expression_ptr unary(bool with_filters = true);
  expression_ptr primary();
  expression_ptr name_or_constant();
  expression_ptr in_parentheses(source_place at);
  expression_ptr list(source_place at);
  expression_ptr dict(source_place at);
  expression_ptr postfix(expression_ptr of);
  expression_ptr subscript(expression_ptr of, source_place at);
  expression_ptr filters_and_tests(expression_ptr of);
  expression_ptr filter(expression_ptr of);
  expression_ptr test(expression_ptr of);
  expression_ptr call(expression_ptr of);
  argument_list arguments();
  bool tuple_ends() const;

  token_reader& tokens_;
  std::size_t nesting_;
  std::size_t depth_ = 0;
};

}  // namespace troupe::kernels::chat
