// Runs a parsed template. One object for one rendering; it throws template_failure, and
// rendering.at says where.
#pragma once

#include <string>

#include "kernels/chat_template/rendering.hpp"
#include "kernels/chat_template/syntax_tree.hpp"

namespace troupe::kernels::chat {

class interpreter {
 public:
  // `globals` holds what the template is given, and takes what it sets.
  interpreter(rendering& run, scope& globals) : run_(run), here_(&globals) {}

  std::string render(const program& source);

 private:
  enum class flow { on, next_turn, leave_loop };

  void enter();  // one level deeper, or fail
  flow execute(const block& body);
  flow execute(const statement& one);
  flow execute_form(const text_statement& s);
  flow execute_form(const output_statement& s);
  flow execute_form(const if_statement& s);
  flow execute_form(const for_statement& s);
  flow execute_form(const set_statement& s);
  flow execute_form(const capture_statement& s);
  flow execute_form(const with_statement& s);
  flow execute_form(const macro_statement& s);
  flow execute_form(const call_statement& s);
  flow execute_form(const break_statement&) { return flow::leave_loop; }
  flow execute_form(const continue_statement&) { return flow::next_turn; }
  std::span<const value> turns_of(const for_statement& s);
  void assign(const assignment_target& to, const value& v);
  // What the body writes, as a text.
  value captured(const block& body);

  value evaluate(const expression& e);
  value evaluate_form(const expression& e, const literal_form& f);
  value evaluate_form(const expression& e, const name_form& f);
  value evaluate_form(const expression& e, const captured_form& f);
  value evaluate_form(const expression& e, const list_form& f);
  value evaluate_form(const expression& e, const mapping_form& f);
  value evaluate_form(const expression& e, const attribute_form& f);
  value evaluate_form(const expression& e, const item_form& f);
  value evaluate_form(const expression& e, const slice_form& f);
  value evaluate_form(const expression& e, const call_form& f);
  value evaluate_form(const expression& e, const filter_form& f);
  value evaluate_form(const expression& e, const test_form& f);
  value evaluate_form(const expression& e, const unary_form& f);
  value evaluate_form(const expression& e, const chain_form& f);
  value evaluate_form(const expression& e, const concatenation_form& f);
  value evaluate_form(const expression& e, const comparison_form& f);
  value evaluate_form(const expression& e, const logic_form& f);
  value evaluate_form(const expression& e, const conditional_form& f);
  value evaluate_or_none(const expression_ptr& e) { return e ? evaluate(*e) : none_value{}; }
  bool compare(comparison what, const value& a, const value& b);

  const value* find_variable(std::string_view name) const;
  call_arguments evaluate_arguments(const argument_list& given);
  value call(const value& what, const call_arguments& given);
  value call_macro(const callable& made, const call_arguments& given);
  void bind_parameters(const callable& made, const call_arguments& given, scope& into);

  rendering& run_;
  scope* here_;
  text_builder* out_ = nullptr;
  value captured_;
  std::size_t depth_ = 0;  // of the interpreter's own recursion
  std::size_t macro_depth_ = 0;
};

}  // namespace troupe::kernels::chat
