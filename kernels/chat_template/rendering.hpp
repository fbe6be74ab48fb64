// What one rendering owns and may spend: every value it makes, and its steps, bytes and turns.
//
// Values are never freed one by one, so that namespaces may hold themselves and nothing is deep to
// destroy; the memory bound is what keeps that small. One thread.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/chat_template/chat_template_bounds.hpp"
#include "kernels/chat_template/failure.hpp"
#include "kernels/chat_template/value.hpp"

namespace troupe::kernels::chat {

class rendering {
 public:
  rendering(const chat_template_bounds& bounds, std::optional<std::chrono::local_seconds> now)
      : bounds(bounds), now(now) {}
  rendering(const rendering&) = delete;
  rendering& operator=(const rendering&) = delete;

  // Each fails where the bound is reached.
  void spend(std::size_t steps = 1);
  void spend_on_text(std::size_t bytes) { spend(1 + bytes / 32); }
  void take_turn();  // of a loop
  // Before memory is taken; give_back() where it is needed for a while only.
  void spend_memory(std::size_t bytes);
  void give_back(std::size_t bytes) { memory_bytes_ -= bytes; }

  std::string_view keep(std::string text);
  sequence* make_sequence(sequence_kind kind, std::vector<value> items,
                          std::string_view label = {});
  mapping* make_mapping(std::vector<std::pair<value, value>> entries);
  name_space* make_name_space();
  callable* make_callable(callable made);
  loop_state* make_loop(loop_state made);
  scope* make_scope(scope* outer);
  value list_of(std::vector<value> items) {
    return make_sequence(sequence_kind::list, std::move(items));
  }

  const chat_template_bounds bounds;
  const std::optional<std::chrono::local_seconds> now;
  source_place at;                // where the template stands, for messages
  std::size_t value_nesting = 0;  // of value_depth

 private:
  std::size_t steps_ = 0;
  std::size_t turns_ = 0;
  std::size_t memory_bytes_ = 0;
  std::deque<std::string> texts_;
  std::deque<sequence> sequences_;
  std::deque<mapping> mappings_;
  std::deque<name_space> name_spaces_;
  std::deque<callable> callables_;
  std::deque<loop_state> loops_;
  std::deque<scope> scopes_;
};

// Memory that a step needs for a while: counted before it is taken, until the lease ends.
class memory_lease {
 public:
  memory_lease(rendering& run, std::size_t bytes) : run_(run), bytes_(bytes) {
    run_.spend_memory(bytes);
  }
  ~memory_lease() { run_.give_back(bytes_); }
  memory_lease(const memory_lease&) = delete;
  memory_lease& operator=(const memory_lease&) = delete;

 private:
  rendering& run_;
  std::size_t bytes_;
};

// A list that is being made: counted before it grows.
template <class Item>
class working_list {
 public:
  explicit working_list(rendering& run, std::size_t expected = 0) : run_(run) {
    if (expected > 0) make_room(expected);
  }
  ~working_list() { run_.give_back(paid_); }
  working_list(const working_list&) = delete;
  working_list& operator=(const working_list&) = delete;

  void add(const Item& item) {
    if (items_.size() == items_.capacity()) make_room(items_.size() < 4 ? 8 : 2 * items_.size());
    items_.push_back(item);
  }
  std::vector<Item>& items() { return items_; }
  // Whoever takes it counts it from now on.
  std::vector<Item> take() {
    run_.give_back(std::exchange(paid_, 0));
    return std::exchange(items_, {});
  }

 private:
  void make_room(std::size_t count) {
    const std::size_t before = paid_;
    run_.spend_memory(count * sizeof(Item));
    paid_ += count * sizeof(Item);
    items_.reserve(count);
    run_.give_back(before);
    paid_ -= before;
  }

  rendering& run_;
  std::vector<Item> items_;
  std::size_t paid_ = 0;
};
using value_builder = working_list<value>;

// A text that grows within the bound of one text, counted before it does.
class text_builder {
 public:
  explicit text_builder(rendering& run) : run_(run) {}
  ~text_builder() { run_.give_back(paid_); }
  text_builder(const text_builder&) = delete;
  text_builder& operator=(const text_builder&) = delete;

  text_builder& add(std::string_view piece);
  text_builder& add(std::size_t times, std::string_view piece);
  std::size_t size() const { return text_.size(); }
  std::string take() {
    run_.give_back(std::exchange(paid_, 0));
    return std::exchange(text_, {});
  }
  value finish() { return run_.keep(take()); }
  rendering& run() const { return run_; }

 private:
  void make_room(std::size_t bytes);

  rendering& run_;
  std::string text_;
  std::size_t paid_ = 0;
};

// Goes with a recursion over values that may hold themselves.
class value_depth {
 public:
  explicit value_depth(rendering& run) : run_(run) {
    if (run_.value_nesting >= run_.bounds.nesting)
      fail("values are nested deeper than " + std::to_string(run_.bounds.nesting));
    ++run_.value_nesting;
  }
  ~value_depth() { --run_.value_nesting; }
  value_depth(const value_depth&) = delete;
  value_depth& operator=(const value_depth&) = delete;

 private:
  rendering& run_;
};

}  // namespace troupe::kernels::chat
