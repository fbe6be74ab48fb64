#include "kernels/chat_template/globals.hpp"

#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/calendar_text.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"

namespace troupe::kernels::chat {

namespace {

std::int64_t range_part(const value& v) {
  if (is_undefined(v)) fail_undefined(v);
  if (const auto number = integer_of(v)) return *number;
  fail("range() needs integers, not " + std::string(type_name(v)));
}

value range_function(rendering& run, const value&, const call_arguments& given) {
  const auto& parts = given.positional;
  if (parts.empty() || parts.size() > 3 || !given.named.empty())
    fail("range() takes one to three integers");
  const std::int64_t start = parts.size() > 1 ? range_part(parts[0]) : 0;
  const std::int64_t stop = range_part(parts.size() > 1 ? parts[1] : parts[0]);
  const std::int64_t step = parts.size() > 2 ? range_part(parts[2]) : 1;
  if (step == 0) fail("range() arg 3 must not be zero");
  value_builder items(run);
  for (std::int64_t at = start; step > 0 ? at < stop : at > stop;) {
    if (items.items().size() == run.bounds.loop_turns)
      fail("range() gives more than " + std::to_string(run.bounds.loop_turns) + " numbers");
    items.add(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  const std::string label = "range(" + std::to_string(start) + ", " + std::to_string(stop) +
                            (step == 1 ? ")" : ", " + std::to_string(step) + ")");
  return run.make_sequence(sequence_kind::range, items.take(), run.keep(label));
}

// dict(other, key=value) and namespace(other, key=value) share this.
void fill(rendering& run, mapping& into, const call_arguments& given) {
  if (given.positional.size() > 1) fail("dict() and namespace() take one dict at most");
  if (!given.positional.empty()) {
    const value& other = given.positional.front();
    if (is_undefined(other)) fail_undefined(other);
    if (const mapping* entries = as_mapping(other)) {
      into.entries = entries->entries;
    } else {
      for (const value& pair : items_of(run, other)) {
        const auto two = items_of(run, pair);
        if (two.size() != 2) fail("dict() needs pairs of key and value");
        set_entry(run, into, two[0], two[1]);
      }
    }
  }
  for (const auto& [name, held] : given.named) set_entry(run, into, name, held);
}

value dict_function(rendering& run, const value&, const call_arguments& given) {
  mapping made;
  fill(run, made, given);
  return run.make_mapping(std::move(made.entries));
}

value namespace_function(rendering& run, const value&, const call_arguments& given) {
  name_space* made = run.make_name_space();
  fill(run, made->names, given);
  return made;
}

// The message is for whoever sent the conversation, so it stays as the template's author wrote it.
value raise_function(rendering& run, const value&, const call_arguments& given) {
  const sorted_arguments sorted("raise_exception", given, {"message"});
  const std::string_view message = text_of_value(run, sorted.needed("message"));
  throw template_failure{
      error_code::invalid_argument, std::string(message),
      "the model's chat template says so, in line " + std::to_string(run.at.line), run.at, true};
}

value strftime_function(rendering& run, const value&, const call_arguments& given) {
  const sorted_arguments sorted("strftime_now", given, {"format"});
  sorted.needed("format");
  const std::string_view format = sorted.text("format", {});
  run.spend(1 + format.size());
  return run.keep(calendar_text(*run.now, format));
}

}  // namespace

void add_global_functions(rendering& run, scope& into) {
  const auto add = [&](std::string_view name, builtin function) {
    callable made;
    made.name = name;
    made.run = function;
    into.assign(name, run.make_callable(std::move(made)));
  };
  add("range", range_function);
  add("dict", dict_function);
  add("namespace", namespace_function);
  add("raise_exception", raise_function);
  if (run.now) add("strftime_now", strftime_function);
}

}  // namespace troupe::kernels::chat
