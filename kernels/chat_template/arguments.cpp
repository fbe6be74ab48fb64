#include "kernels/chat_template/arguments.hpp"

#include <algorithm>

#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

sorted_arguments::sorted_arguments(std::string_view function, const call_arguments& given,
                                   std::initializer_list<std::string_view> names)
    : function_(function) {
  for (const auto name : names) sorted_.emplace_back(name, nullptr);
  if (given.positional.size() > sorted_.size())
    fail(std::string(function) + "() takes at most " + std::to_string(sorted_.size()) +
         " arguments, " + std::to_string(given.positional.size()) + " were given");
  for (std::size_t i = 0; i < given.positional.size(); ++i)
    sorted_[i].second = &given.positional[i];
  for (const auto& argument : given.named) {
    const std::string_view name = argument.first;
    const auto place = std::find_if(sorted_.begin(), sorted_.end(),
                                    [&](const auto& known) { return known.first == name; });
    if (place == sorted_.end())
      fail(std::string(function) + "() has no argument '" + std::string(name) + "'");
    if (place->second)
      fail(std::string(function) + "() got two values for '" + std::string(name) + "'");
    place->second = &argument.second;
  }
}

const value* sorted_arguments::find(std::string_view name) const {
  for (const auto& [known, held] : sorted_)
    if (known == name) return held;
  return nullptr;
}

const value& sorted_arguments::needed(std::string_view name) const {
  if (const value* held = find(name)) return *held;
  fail(std::string(function_) + "() needs the argument '" + std::string(name) + "'");
}

void sorted_arguments::fail_type(std::string_view name, const value& found,
                                 std::string_view wanted) const {
  if (is_undefined(found)) fail_undefined(found);
  fail(std::string(function_) + "(): '" + std::string(name) + "' has to be " + std::string(wanted) +
       ", not " + std::string(type_name(found)));
}

std::string_view sorted_arguments::text(std::string_view name, std::string_view otherwise) const {
  const value* held = find(name);
  if (!held) return otherwise;
  if (!is_text(*held)) fail_type(name, *held, "a text");
  return std::get<std::string_view>(*held);
}

std::int64_t sorted_arguments::integer(std::string_view name, std::int64_t otherwise) const {
  const value* held = find(name);
  if (!held) return otherwise;
  if (const auto number = integer_of(*held)) return *number;
  fail_type(name, *held, "an integer");
}

bool sorted_arguments::truth(std::string_view name, bool otherwise) const {
  const value* held = find(name);
  return held ? is_true(*held) : otherwise;
}

std::optional<std::string_view> sorted_arguments::optional_text(std::string_view name) const {
  const value* held = find(name);
  if (!held || is_none(*held)) return std::nullopt;
  return text(name, {});
}

call_arguments without_front(const call_arguments& given, std::size_t count) {
  call_arguments rest = given;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() +
                            static_cast<std::ptrdiff_t>(std::min(count, rest.positional.size())));
  return rest;
}

}  // namespace troupe::kernels::chat
