// What a fallible call returns: a value, or an error that says what was wrong, where, and how to
// mend it.
//
// Exceptions never cross a room's public functions; broken invariants assert. Errors are values of
// this type.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace troupe {

// Numbers travel on the wire (proto/error.proto has the same list): never reuse one.
enum class error_code : int {
  ok = 0,
  invalid_argument = 1,    // the caller's input is wrong
  not_found = 2,           // no such model, job, file or actor
  already_exists = 3,      // same id with another content
  resource_exhausted = 4,  // queue, memory, disk or budget is full
  deadline_exceeded = 5,
  unavailable = 6,  // the other side is away or stopping
  cancelled = 7,
  data_corrupt = 8,  // checksum, digest or format does not hold
  unsupported = 9,   // a valid wish that this build or machine cannot fulfil
  internal = 10,     // our own fault
  permission_denied = 11,
};

// Who may try again: nobody, the same caller later, or the runtime on another node.
enum class retry_by { nobody, caller_later, runtime_elsewhere };

// One row for each code: its name for users and scripts, and who may retry.
struct error_row {
  error_code code;
  std::string_view name;
  retry_by retry;
};

inline constexpr error_row error_table[] = {
    {error_code::ok, "ok", retry_by::nobody},
    {error_code::invalid_argument, "invalid_argument", retry_by::nobody},
    {error_code::not_found, "not_found", retry_by::nobody},
    {error_code::already_exists, "already_exists", retry_by::nobody},
    {error_code::resource_exhausted, "resource_exhausted", retry_by::caller_later},
    {error_code::deadline_exceeded, "deadline_exceeded", retry_by::nobody},
    {error_code::unavailable, "unavailable", retry_by::runtime_elsewhere},
    {error_code::cancelled, "cancelled", retry_by::nobody},
    {error_code::data_corrupt, "data_corrupt", retry_by::nobody},
    {error_code::unsupported, "unsupported", retry_by::nobody},
    {error_code::internal, "internal", retry_by::runtime_elsewhere},
    {error_code::permission_denied, "permission_denied", retry_by::nobody},
};

constexpr const error_row& row_of(error_code code) {
  for (const error_row& row : error_table)
    if (row.code == code) return row;
  return error_table[10];
}

struct [[nodiscard]] error {
  error_code code = error_code::internal;
  std::string message;  // what was wrong and where, with the value that was found
  std::string mend;     // what to do about it; empty where the message says it

  std::string text() const { return mend.empty() ? message : message + " (" + mend + ")"; }
};

// A value of T or an error. Reading the wrong side asserts.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(error e) : state_(std::in_place_index<1>, std::move(e)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return assert(ok()), *std::get_if<0>(&state_); }
  const T& value() const& { return assert(ok()), *std::get_if<0>(&state_); }
  T&& value() && { return assert(ok()), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const error& failure() const { return assert(!ok()), *std::get_if<1>(&state_); }

 private:
  std::variant<T, error> state_;
};

// Success, or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(error e) : error_(std::move(e)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const error& failure() const { return assert(error_), *error_; }

 private:
  std::optional<error> error_;
};

using status = result<void>;

// The name that users and scripts see: "invalid_argument".
std::string_view name_of(error_code code);

}  // namespace troupe
