// Arguments of a call, sorted to the parameters that a filter, test, method or function has.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

class sorted_arguments {
 public:
  // `names` in their order. Fails for too many arguments, and for unknown or repeated names.
  sorted_arguments(std::string_view function, const call_arguments& given,
                   std::initializer_list<std::string_view> names);

  // Null where it was not given.
  const value* find(std::string_view name) const;
  // Each fails where the argument has another type.
  const value& needed(std::string_view name) const;
  std::string_view text(std::string_view name, std::string_view otherwise) const;
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  bool truth(std::string_view name, bool otherwise) const;
  // None counts as not given.
  std::optional<std::string_view> optional_text(std::string_view name) const;

 private:
  [[noreturn]] void fail_type(std::string_view name, const value& found,
                              std::string_view wanted) const;

  std::string_view function_;
  std::vector<std::pair<std::string_view, const value*>> sorted_;
};

// Without the first `count` positional arguments.
call_arguments without_front(const call_arguments& given, std::size_t count);

}  // namespace troupe::kernels::chat
