// Statements; evaluation.cpp has the expressions.
#include "kernels/chat_template/interpreter.hpp"

#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"

namespace troupe::kernels::chat {

namespace {

// Levels of the interpreter's recursion; with this many it stays far from the end of a stack.
constexpr std::size_t depth_max = 800;

}  // namespace

void interpreter::enter() {
  if (depth_ == depth_max)
    fail("the template calls itself deeper than " + std::to_string(depth_max) + " steps");
  ++depth_;
}

std::string interpreter::render(const program& source) {
  text_builder prompt(run_);
  out_ = &prompt;
  execute(source.body);
  return prompt.take();
}

interpreter::flow interpreter::execute(const block& body) {
  for (const statement& one : body)
    if (const flow then = execute(one); then != flow::on) return then;
  return flow::on;
}

interpreter::flow interpreter::execute(const statement& one) {
  run_.spend();
  run_.at = one.at;
  enter();
  const flow then = std::visit([this](const auto& form) { return execute_form(form); }, one.form);
  --depth_;
  return then;
}

interpreter::flow interpreter::execute_form(const text_statement& s) {
  out_->add(s.text);
  return flow::on;
}

interpreter::flow interpreter::execute_form(const output_statement& s) {
  add_text(*out_, evaluate(*s.shown));
  return flow::on;
}

interpreter::flow interpreter::execute_form(const if_statement& s) {
  for (const auto& [condition, body] : s.branches)
    if (is_true(evaluate(*condition))) return execute(body);
  return execute(s.otherwise);
}

std::span<const value> interpreter::turns_of(const for_statement& s) {
  const value over = evaluate(*s.over);
  run_.at = s.target.at;
  const std::span<const value> items = items_of(run_, over);
  if (!s.condition) return items;
  scope* const around = here_;
  std::vector<value> kept;
  for (const value& item : items) {
    run_.take_turn();
    here_ = run_.make_scope(around);
    assign(s.target, item);
    if (is_true(evaluate(*s.condition))) kept.push_back(item);
  }
  here_ = around;
  return run_.make_sequence(sequence_kind::list, std::move(kept))->items;
}

interpreter::flow interpreter::execute_form(const for_statement& s) {
  const std::span<const value> items = turns_of(s);
  bool finished_one = false;
  loop_state made;
  made.items = items.data();
  made.length = items.size();
  loop_state* loop = run_.make_loop(std::move(made));
  scope* const around = here_;
  for (const value& item : items) {
    run_.take_turn();
    here_ = run_.make_scope(around);
    assign(s.target, item);
    here_->assign("loop", loop);
    const flow then = execute(s.body);
    if (then == flow::leave_loop) break;
    finished_one |= then == flow::on;
    ++loop->index;
  }
  here_ = around;
  if (finished_one || s.otherwise.empty()) return flow::on;
  // Jinja2 takes `else` also where every turn was cut short.
  here_ = run_.make_scope(around);
  const flow then = execute(s.otherwise);
  here_ = around;
  return then;
}

void interpreter::assign(const assignment_target& to, const value& v) {
  run_.at = to.at;
  if (!to.parts.empty()) {
    const std::span<const value> items = items_of(run_, v);
    if (items.size() != to.parts.size())
      fail("cannot unpack " + std::to_string(items.size()) + " values into " +
           std::to_string(to.parts.size()) + " names");
    for (std::size_t i = 0; i < items.size(); ++i) assign(to.parts[i], items[i]);
  } else if (!to.attribute.empty()) {
    const value* held = find_variable(to.name);
    name_space* const* space = held ? std::get_if<name_space*>(held) : nullptr;
    if (!space)
      fail("cannot assign attribute on non-namespace object '" + to.name + "'",
           "make it by {% set " + to.name + " = namespace() %}");
    set_entry(run_, (*space)->names, std::string_view(to.attribute), v);
  } else {
    here_->assign(to.name, v);
  }
}

interpreter::flow interpreter::execute_form(const set_statement& s) {
  assign(s.target, evaluate(*s.to));
  return flow::on;
}

value interpreter::captured(const block& body) {
  text_builder written(run_);
  text_builder* const around = std::exchange(out_, &written);
  execute(body);
  out_ = around;
  return written.finish();
}

interpreter::flow interpreter::execute_form(const capture_statement& s) {
  scope* const around = here_;
  here_ = run_.make_scope(around);
  captured_ = captured(s.body);
  const value shown = evaluate(*s.shown);
  here_ = around;
  if (!s.target && !is_text(shown))
    fail("a filter block has to give a text, not " + std::string(type_name(shown)));
  if (s.target)
    assign(*s.target, shown);
  else
    add_text(*out_, shown);
  return flow::on;
}

interpreter::flow interpreter::execute_form(const with_statement& s) {
  std::vector<value> values;
  for (const auto& [target, held] : s.variables) values.push_back(evaluate(*held));
  scope* const around = here_;
  here_ = run_.make_scope(around);
  for (std::size_t i = 0; i < values.size(); ++i) assign(s.variables[i].first, values[i]);
  const flow then = execute(s.body);
  here_ = around;
  return then;
}

interpreter::flow interpreter::execute_form(const macro_statement& s) {
  callable made;
  made.name = s.macro->name;
  made.macro = s.macro.get();
  made.home = here_;
  here_->assign(s.macro->name, run_.make_callable(std::move(made)));
  return flow::on;
}

interpreter::flow interpreter::execute_form(const call_statement& s) {
  callable caller;
  caller.name = s.caller->name;
  caller.macro = s.caller.get();
  caller.home = here_;
  const auto& form = std::get<call_form>(s.call->form);
  const value callee = evaluate(*form.callee);
  call_arguments given = evaluate_arguments(form.given);
  given.named.emplace_back("caller", run_.make_callable(std::move(caller)));
  run_.at = s.call->at;
  add_text(*out_, call(callee, given));
  return flow::on;
}

}  // namespace troupe::kernels::chat
