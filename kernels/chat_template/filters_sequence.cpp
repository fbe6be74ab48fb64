// Filters that order, cut or take apart.
#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/attribute_path.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

constexpr std::string_view no_first = "No first item, sequence was empty.";
constexpr std::string_view no_last = "No last item, sequence was empty.";
constexpr std::string_view no_best = "No aggregated item, sequence was empty.";

value filter_default(rendering&, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("default", given, {"default_value", "boolean"});
  const value* fallback = sorted.find("default_value");
  const bool missing = is_undefined(self) || (sorted.truth("boolean", false) && !is_true(self));
  return !missing ? self : fallback ? *fallback : value(std::string_view{});
}

value filter_list(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("list", given, {});
  const auto items = items_of(run, self);
  value_builder copy(run, items.size());
  for (const value& item : items) copy.add(item);
  return run.list_of(copy.take());
}

// An iterator gives one item and goes on from there.
value filter_first(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("first", given, {});
  if (sequence* held = as_sequence(self); held && held->kind == sequence_kind::iterator) {
    if (held->taken < held->items.size()) return held->items[held->taken++];
    return undefined_value{"", no_first};
  }
  if (const auto* text = std::get_if<std::string_view>(&self))
    return text->empty() ? value(undefined_value{"", no_first})
                         : value(text->substr(0, byte_of(*text, 1)));
  const auto items = items_of(run, self);
  return items.empty() ? value(undefined_value{"", no_first}) : items.front();
}

value filter_last(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("last", given, {});
  const sequence* held = as_sequence(self);
  if (held && held->kind == sequence_kind::iterator)
    fail("'" + std::string(type_name(self)) + "' object is not reversible",
         "add the filter 'list' before 'last'");
  if (const auto* text = std::get_if<std::string_view>(&self); text && !text->empty())
    return character_at(run, *text, -1);
  const auto items = items_of(run, self);
  return items.empty() ? value(undefined_value{"", no_last}) : items.back();
}

value filter_reverse(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("reverse", given, {});
  if (const auto* text = std::get_if<std::string_view>(&self)) {
    run.spend(text->size());
    const memory_lease held(run, text->size() * 6);  // its codes, and the new text as it grows
    std::u32string codes = codes_of(*text);
    std::reverse(codes.begin(), codes.end());
    return run.keep(text_of(codes));
  }
  const auto items = items_of(run, self);
  value_builder back(run, items.size());
  for (auto item = items.rbegin(); item != items.rend(); ++item) back.add(*item);
  return run.make_sequence(sequence_kind::iterator, back.take());
}

value filter_items(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("items", given, {});
  if (is_undefined(self)) return run.make_sequence(sequence_kind::iterator, {});
  const mapping* entries = as_mapping(self);
  if (!entries) fail("Can only get item pairs from a mapping.");
  value_builder pairs(run, entries->entries.size());
  for (const auto& [key, held] : entries->entries)
    pairs.add(run.make_sequence(sequence_kind::tuple, {key, held}));
  return run.make_sequence(sequence_kind::iterator, pairs.take());
}

struct keyed_item {
  value key, item;
};

// Adds each item with its key.
void add_keyed(working_list<keyed_item>& to, rendering& run, std::span<const value> items,
               const value* path, bool case_sensitive) {
  for (const value& item : items) to.add({sort_key(run, item, path, case_sensitive), item});
}

void sort_keyed(rendering& run, std::vector<keyed_item>& items, bool reverse) {
  const memory_lease held(run, items.size() * sizeof(keyed_item));  // what stable_sort works in
  std::stable_sort(items.begin(), items.end(), [&](const keyed_item& a, const keyed_item& b) {
    return reverse ? order(run, b.key, a.key) < 0 : order(run, a.key, b.key) < 0;
  });
}

value items_only(rendering& run, const std::vector<keyed_item>& from) {
  value_builder items(run, from.size());
  for (const keyed_item& one : from) items.add(one.item);
  return run.list_of(items.take());
}

value filter_sort(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("sort", given, {"reverse", "case_sensitive", "attribute"});
  const auto given_items = items_of(run, self);
  working_list<keyed_item> items(run, given_items.size());
  add_keyed(items, run, given_items, sorted.find("attribute"),
            sorted.truth("case_sensitive", false));
  sort_keyed(run, items.items(), sorted.truth("reverse", false));
  return items_only(run, items.items());
}

value filter_dictsort(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("dictsort", given, {"case_sensitive", "by", "reverse"});
  const mapping* entries = as_mapping(self);
  if (is_undefined(self)) fail_undefined(self);
  if (!entries) fail("dictsort needs a dict, not " + std::string(type_name(self)));
  const std::string_view by = sorted.text("by", "key");
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  working_list<keyed_item> items(run, entries->entries.size());
  for (const auto& [key, held] : entries->entries)
    items.add(
        {sort_key(run, by == "key" ? key : held, nullptr, sorted.truth("case_sensitive", false)),
         run.make_sequence(sequence_kind::tuple, {key, held})});
  sort_keyed(run, items.items(), sorted.truth("reverse", false));
  return items_only(run, items.items());
}

value filter_unique(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("unique", given, {"case_sensitive", "attribute"});
  const auto given_items = items_of(run, self);
  working_list<keyed_item> items(run, given_items.size());
  add_keyed(items, run, given_items, sorted.find("attribute"),
            sorted.truth("case_sensitive", false));
  const memory_lease held(run, given_items.size() * sizeof(keyed_item));  // what was seen
  mapping seen;
  seen.entries.reserve(given_items.size());
  value_builder kept(run);
  for (const auto& [key, item] : items.items()) {
    if (find_entry(run, seen, key)) continue;
    seen.entries.emplace_back(key, none_value{});
    kept.add(item);
  }
  return run.make_sequence(sequence_kind::iterator, kept.take());
}

template <int wanted>  // the sign of order(item, best) that makes an item the best
value filter_best(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("min or max", given, {"case_sensitive", "attribute"});
  const auto given_items = items_of(run, self);
  if (given_items.empty()) return undefined_value{"", no_best};
  working_list<keyed_item> items(run, given_items.size());
  add_keyed(items, run, given_items, sorted.find("attribute"),
            sorted.truth("case_sensitive", false));
  const keyed_item* best = &items.items().front();
  for (const keyed_item& one : items.items())
    if (&one != best && order(run, one.key, best->key) * wanted > 0) best = &one;
  return best->item;
}

value filter_batch(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("batch", given, {"linecount", "fill_with"});
  sorted.needed("linecount");
  const auto size = static_cast<std::size_t>(
      std::clamp<std::int64_t>(sorted.integer("linecount", 1), 1, 1 << 20));
  const value* fill = sorted.find("fill_with");
  value_builder batches(run), batch(run);
  const auto items = items_of(run, self);
  for (const value& item : items) {
    if (batch.items().size() == size) batches.add(run.list_of(batch.take()));
    batch.add(item);
  }
  if (fill && !is_none(*fill) && !batch.items().empty())
    while (batch.items().size() < size) batch.add(*fill);
  if (!batch.items().empty()) batches.add(run.list_of(batch.take()));
  return run.make_sequence(sequence_kind::iterator, batches.take());
}

constexpr filter_row rows[] = {
    {"default", filter_default}, {"d", filter_default},    {"list", filter_list},
    {"first", filter_first},     {"last", filter_last},    {"reverse", filter_reverse},
    {"items", filter_items},     {"sort", filter_sort},    {"dictsort", filter_dictsort},
    {"unique", filter_unique},   {"min", filter_best<-1>}, {"max", filter_best<1>},
    {"batch", filter_batch},
};

}  // namespace

std::span<const filter_row> sequence_filters() {
  return rows;
}

}  // namespace troupe::kernels::chat
