// A parsed template. Immutable once parsed, so that renderings share it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/chat_template/chat_template_bounds.hpp"
#include "kernels/chat_template/failure.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/value.hpp"
#include "kernels/chat_template/value_tests.hpp"

namespace troupe::kernels::chat {

struct expression;
using expression_ptr = std::unique_ptr<const expression>;

struct argument_list {
  std::vector<expression_ptr> positional;
  std::vector<std::pair<std::string, expression_ptr>> named;
  expression_ptr rest;        // *rest, or null
  expression_ptr named_rest;  // **named_rest, or null
};

enum class binary_operator { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class comparison { equal, unequal, less, less_equal, greater, greater_equal, in, not_in };

struct literal_form {
  value constant;  // text lies in `text`
  std::string text;
};
struct name_form {
  std::string name;
};
struct captured_form {};  // what a filter block or a block set has captured
struct list_form {
  sequence_kind kind;
  std::vector<expression_ptr> items;
};
struct mapping_form {
  std::vector<std::pair<expression_ptr, expression_ptr>> entries;
};
struct attribute_form {
  expression_ptr of;
  std::string name;
};
struct item_form {
  expression_ptr of, key;
};
struct slice_form {
  expression_ptr of, start, stop, step;  // the last three may be null
};
struct call_form {
  expression_ptr callee;
  argument_list given;
};
struct filter_form {
  expression_ptr input;
  const filter_row* filter;
  argument_list given;
};
struct test_form {
  expression_ptr input;
  const value_test_row* test;
  argument_list given;
};
enum class unary_operator { negate, plus, logical_not };
struct unary_form {
  unary_operator what;
  expression_ptr of;
};
struct chain_form {  // from the left
  expression_ptr first;
  std::vector<std::pair<binary_operator, expression_ptr>> rest;
};
struct concatenation_form {
  std::vector<expression_ptr> parts;
};
struct comparison_form {  // a < b < c: both must hold
  expression_ptr first;
  std::vector<std::pair<comparison, expression_ptr>> rest;
};
struct logic_form {  // `and`, or else `or`
  bool all;
  std::vector<expression_ptr> parts;
};
struct conditional_form {
  expression_ptr condition, then, otherwise;  // otherwise may be null
};

using expression_form =
    std::variant<literal_form, name_form, captured_form, list_form, mapping_form, attribute_form,
                 item_form, slice_form, call_form, filter_form, test_form, unary_form, chain_form,
                 concatenation_form, comparison_form, logic_form, conditional_form>;

struct expression {
  source_place at;
  std::size_t depth = 1;  // of the tree below and with it
  expression_form form;
};

// The deepest part directly below.
std::size_t depth_below(const expression_form& form);

struct statement;
using block = std::vector<statement>;

struct assignment_target {
  source_place at;
  std::string name;       // or, where there are parts, a tuple to take apart
  std::string attribute;  // of the namespace `name`; empty: the variable itself
  std::vector<assignment_target> parts;
};

struct text_statement {
  std::string text;
};
struct output_statement {
  expression_ptr shown;
};
struct if_statement {
  std::vector<std::pair<expression_ptr, block>> branches;
  block otherwise;
};
struct for_statement {
  assignment_target target;
  expression_ptr over;
  expression_ptr condition;  // or null
  block body;
  block otherwise;
};
struct set_statement {
  assignment_target target;
  expression_ptr to;
};
struct capture_statement {  // block set; a filter block where there is no target
  std::optional<assignment_target> target;
  block body;
  expression_ptr shown;  // of a captured_form
};
struct with_statement {  // also a generation block, without variables
  std::vector<std::pair<assignment_target, expression_ptr>> variables;
  block body;
};
struct macro_statement {
  std::shared_ptr<const macro_definition> macro;
};
struct call_statement {
  std::shared_ptr<const macro_definition> caller;
  expression_ptr call;  // a call_form
};
struct break_statement {};
struct continue_statement {};

struct statement {
  source_place at;
  std::variant<text_statement, output_statement, if_statement, for_statement, set_statement,
               capture_statement, with_statement, macro_statement, call_statement, break_statement,
               continue_statement>
      form;
};

struct macro_parameter {
  std::string name;
  expression_ptr fallback;  // or null
};

struct macro_definition {
  std::string name;
  std::vector<macro_parameter> parameters;
  block body;
  bool takes_rest = false;        // the body speaks of varargs
  bool takes_named_rest = false;  // of kwargs
  bool takes_caller = false;
};

struct program {
  chat_template_bounds bounds;
  block body;
};

}  // namespace troupe::kernels::chat
