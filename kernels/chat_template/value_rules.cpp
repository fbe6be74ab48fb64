#include "kernels/chat_template/value_rules.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/chat_template/characters.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

std::string_view sequence_name(const sequence& s) {
  switch (s.kind) {
    case sequence_kind::list:
      return "list";
    case sequence_kind::tuple:
      return "tuple";
    case sequence_kind::range:
      return "range";
    case sequence_kind::view:
      return s.label;
    default:
      return "generator";
  }
}

bool equal_mappings(rendering& run, const mapping& a, const mapping& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, held] : a.entries) {
    const value* other = find_entry(run, b, key);
    if (!other || !equals(run, held, *other)) return false;
  }
  return true;
}

bool equal_sequences(rendering& run, const sequence& a, const sequence& b) {
  if (a.kind != b.kind || a.kind == sequence_kind::iterator) return &a == &b;
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equals(run, a.items[i], b.items[i])) return false;
  return true;
}

int order_sequences(rendering& run, const sequence& a, const sequence& b) {
  for (std::size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i)
    if (!equals(run, a.items[i], b.items[i])) return order(run, a.items[i], b.items[i]);
  return a.items.size() < b.items.size() ? -1 : a.items.size() > b.items.size() ? 1 : 0;
}

template <class Number>
int order_numbers(Number a, Number b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

void need_hashable(rendering& run, const value& key) {
  const sequence* held = as_sequence(key);
  if (as_mapping(key) || (held && held->kind == sequence_kind::list))
    fail("unhashable type: '" + std::string(type_name(key)) + "'");
  if (!held || held->kind != sequence_kind::tuple) return;
  const value_depth depth(run);
  for (const value& part : held->items) need_hashable(run, part);
}

// The number of entries where there is no such key.
std::size_t place_of_key(rendering& run, const mapping& in, const value& key) {
  need_hashable(run, key);
  run.spend(1 + in.entries.size() / 8);
  std::size_t place = 0;
  for (; place < in.entries.size(); ++place) {
    const value& known = in.entries[place].first;
    const bool same = is_text(key) && is_text(known)
                          ? std::get<std::string_view>(key) == std::get<std::string_view>(known)
                          : equals(run, key, known);
    if (same) break;
  }
  return place;
}

}  // namespace

std::string_view type_name(const value& v) {
  struct namer {
    std::string_view operator()(const undefined_value&) { return "Undefined"; }
    std::string_view operator()(none_value) { return "NoneType"; }
    std::string_view operator()(bool) { return "bool"; }
    std::string_view operator()(std::int64_t) { return "int"; }
    std::string_view operator()(double) { return "float"; }
    std::string_view operator()(std::string_view) { return "str"; }
    std::string_view operator()(const sequence* s) { return sequence_name(*s); }
    std::string_view operator()(const mapping*) { return "dict"; }
    std::string_view operator()(const name_space*) { return "Namespace"; }
    std::string_view operator()(const callable*) { return "function"; }
    std::string_view operator()(const loop_state*) { return "LoopContext"; }
  };
  return std::visit(namer{}, v);
}

std::string reason_of(const undefined_value& v) {
  if (v.owner.empty()) return "'" + std::string(v.name) + "' is undefined";
  if (v.name.empty()) return std::string(v.owner);
  return "'" + std::string(v.owner) + " object' has no attribute '" + std::string(v.name) + "'";
}

void fail_undefined(const value& v) {
  fail(reason_of(std::get<undefined_value>(v)));
}

bool is_true(const value& v) {
  struct judge {
    bool operator()(const undefined_value&) { return false; }
    bool operator()(none_value) { return false; }
    bool operator()(bool b) { return b; }
    bool operator()(std::int64_t n) { return n != 0; }
    bool operator()(double x) { return x != 0; }
    bool operator()(std::string_view text) { return !text.empty(); }
    bool operator()(const sequence* s) {
      return s->kind == sequence_kind::iterator || !s->items.empty();
    }
    bool operator()(const mapping* m) { return !m->entries.empty(); }
    bool operator()(const name_space*) { return true; }
    bool operator()(const callable*) { return true; }
    bool operator()(const loop_state*) { return true; }
  };
  return std::visit(judge{}, v);
}

std::optional<std::int64_t> integer_of(const value& v) {
  if (const bool* b = std::get_if<bool>(&v)) return *b ? 1 : 0;
  if (const std::int64_t* n = std::get_if<std::int64_t>(&v)) return *n;
  return std::nullopt;
}

std::optional<double> number_of(const value& v) {
  if (const double* x = std::get_if<double>(&v)) return *x;
  if (const auto n = integer_of(v)) return static_cast<double>(*n);
  return std::nullopt;
}

bool equals(rendering& run, const value& a, const value& b) {
  run.spend();
  const value_depth depth(run);
  if (is_text(a) && is_text(b)) {
    const auto left = std::get<std::string_view>(a), right = std::get<std::string_view>(b);
    if (left.size() == right.size()) run.spend_on_text(left.size());
    return left == right;
  }
  if (const auto x = integer_of(a), y = integer_of(b); x && y) return *x == *y;
  if (const auto x = number_of(a), y = number_of(b); x && y) return *x == *y;
  if (as_sequence(a) && as_sequence(b))
    return equal_sequences(run, *as_sequence(a), *as_sequence(b));
  if (as_mapping(a) && as_mapping(b)) return equal_mappings(run, *as_mapping(a), *as_mapping(b));
  if (is_undefined(a) && is_undefined(b)) return true;
  if (is_none(a) && is_none(b)) return true;
  if (a.index() != b.index()) return false;
  if (const auto* space = std::get_if<name_space*>(&a)) return *space == std::get<name_space*>(b);
  if (const auto* made = std::get_if<callable*>(&a)) return *made == std::get<callable*>(b);
  if (const auto* loop = std::get_if<loop_state*>(&a)) return *loop == std::get<loop_state*>(b);
  return false;
}

int order(rendering& run, const value& a, const value& b) {
  run.spend();
  const value_depth depth(run);
  if (is_undefined(a)) fail_undefined(a);
  if (is_undefined(b)) fail_undefined(b);
  if (is_text(a) && is_text(b)) {
    const auto left = std::get<std::string_view>(a), right = std::get<std::string_view>(b);
    run.spend_on_text(std::min(left.size(), right.size()));
    return left.compare(right);
  }
  if (const auto x = integer_of(a), y = integer_of(b); x && y) return order_numbers(*x, *y);
  if (const auto x = number_of(a), y = number_of(b); x && y) return order_numbers(*x, *y);
  const sequence *left = as_sequence(a), *right = as_sequence(b);
  if (left && right && left->kind == right->kind && left->kind <= sequence_kind::tuple)
    return order_sequences(run, *left, *right);
  fail("'" + std::string(type_name(a)) + "' and '" + std::string(type_name(b)) + "' have no order");
}

bool contains(rendering& run, const value& in, const value& what) {
  if (const auto* text = std::get_if<std::string_view>(&in)) {
    if (!is_text(what))
      fail("'in <string>' requires string as left operand, not " + std::string(type_name(what)));
    run.spend_on_text(text->size());
    return find_part(*text, std::get<std::string_view>(what)) != std::string_view::npos;
  }
  if (const mapping* entries = as_mapping(in)) return find_entry(run, *entries, what) != nullptr;
  for (const value& item : items_of(run, in))
    if (equals(run, item, what)) return true;
  return false;
}

bool is_iterable(const value& v) {
  return is_undefined(v) || is_text(v) || as_sequence(v) || as_mapping(v) ||
         std::holds_alternative<loop_state*>(v);
}

std::span<const value> items_of(rendering& run, const value& v) {
  run.spend();
  if (is_undefined(v)) return {};
  if (sequence* held = as_sequence(v)) {
    std::span<const value> items = held->items;
    if (held->kind != sequence_kind::iterator) return items;
    items = items.subspan(held->taken);
    held->taken = held->items.size();
    return items;
  }
  value_builder items(run);
  if (const mapping* entries = as_mapping(v)) {
    for (const auto& [key, held] : entries->entries) items.add(key);
  } else if (is_text(v)) {
    auto text = std::get<std::string_view>(v);
    run.spend(text.size());
    for (std::size_t size = 0; !text.empty(); text.remove_prefix(size)) {
      size = utf8::read_front(text).size;
      items.add(text.substr(0, size));
    }
  } else {
    fail("'" + std::string(type_name(v)) + "' object is not iterable");
  }
  return run.make_sequence(sequence_kind::list, items.take())->items;
}

std::size_t length_of(rendering& run, const value& v) {
  if (is_undefined(v)) return 0;
  if (const auto* text = std::get_if<std::string_view>(&v)) {
    run.spend_on_text(text->size());
    return count_characters(*text);
  }
  if (const mapping* entries = as_mapping(v)) return entries->entries.size();
  const sequence* held = as_sequence(v);
  if (held && held->kind != sequence_kind::iterator) return held->items.size();
  if (const auto* loop = std::get_if<loop_state*>(&v)) return (*loop)->length;
  fail("object of type '" + std::string(type_name(v)) + "' has no len()");
}

const value* find_entry(rendering& run, const mapping& in, const value& key) {
  const std::size_t place = place_of_key(run, in, key);
  return place < in.entries.size() ? &in.entries[place].second : nullptr;
}

void set_entry(rendering& run, mapping& in, const value& key, const value& to) {
  const std::size_t place = place_of_key(run, in, key);
  if (place < in.entries.size())
    in.entries[place].second = to;
  else
    in.entries.emplace_back(key, to);
}

}  // namespace troupe::kernels::chat
