#include "kernels/tokenizer/byte_pairs.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <unordered_map>

#include "kernels/tokenizer/byte_alphabet.hpp"

namespace troupe::kernels {
namespace {

// Up to this many symbols a plain search for the best pair is faster than a heap.
constexpr std::size_t short_word = 48;

std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
  return std::uint64_t{left} << 32 | right;
}

std::size_t mix(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15u;
  return pair ^ pair >> 32;
}

}  // namespace

result<byte_pairs> byte_pairs::make(std::span<const std::string> bytes_of,
                                    std::span<const std::string_view> merges) {
  byte_pairs made;
  made.tokens_ = bytes_of.size();
  std::unordered_map<std::string, symbol> numbers;
  numbers.reserve(bytes_of.size() + 256);
  for (std::size_t i = 0; i < bytes_of.size(); ++i)
    if (!bytes_of[i].empty()) numbers.emplace(bytes_of[i], static_cast<symbol>(i));
  const auto number_of = [&](std::string bytes) {
    const auto fresh = static_cast<symbol>(made.tokens_ + made.extra_.size());
    const auto [at, added] = numbers.emplace(std::move(bytes), fresh);
    if (added) made.extra_.push_back({});
    return at->second;
  };
  for (int byte = 0; byte < 256; ++byte)
    made.byte_symbols_[byte] = number_of(std::string(1, static_cast<char>(byte)));

  made.slots_.resize(std::bit_ceil(merges.size() * 2 + 2));
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::size_t space = merges[rank].find(' ', 1);
    if (space == std::string_view::npos) continue;
    const auto left = byte_alphabet::to_bytes(merges[rank].substr(0, space));
    const auto right = byte_alphabet::to_bytes(merges[rank].substr(space + 1));
    if (!left || !right || left->empty() || right->empty()) continue;
    const symbol first = number_of(*left);
    const symbol second = number_of(*right);
    const symbol merged = number_of(*left + *right);
    if (merged >= made.tokens_ && made.extra_[merged - made.tokens_].left == no_symbol)
      made.extra_[merged - made.tokens_] = {first, second};
    made.insert(first, second, {static_cast<std::uint32_t>(rank), merged});
  }
  return made;
}

// Of two rules for one pair the first counts.
void byte_pairs::insert(symbol left, symbol right, rule what) {
  const std::uint64_t pair = pair_of(left, right);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = mix(pair) & mask;
  while (slots_[at].what.merged != no_symbol && slots_[at].pair != pair) at = (at + 1) & mask;
  if (slots_[at].what.merged == no_symbol) slots_[at] = {pair, what};
}

byte_pairs::rule byte_pairs::find(symbol left, symbol right) const {
  const std::uint64_t pair = pair_of(left, right);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = mix(pair) & mask;
  while (slots_[at].what.merged != no_symbol && slots_[at].pair != pair) at = (at + 1) & mask;
  return slots_[at].what;
}

void byte_pairs::encode(std::string_view word, scratch& room, std::vector<token_id>& out) const {
  room.symbols.clear();
  for (const char byte : word)
    room.symbols.push_back(byte_symbols_[static_cast<unsigned char>(byte)]);
  if (word.size() <= short_word) {
    merge_short(room.symbols, room.ranks);
    for (const symbol each : room.symbols) give(each, out);
    return;
  }
  merge_long(room);
  for (std::size_t at = 0; at < room.symbols.size(); at = room.next[at])
    give(room.symbols[at], out);
}

void byte_pairs::merge_short(std::vector<symbol>& symbols,
                             std::vector<std::uint32_t>& ranks) const {
  const std::size_t size = symbols.size();
  if (size < 2) return;
  ranks.resize(size);
  for (std::size_t i = 0; i + 1 < size; ++i) ranks[i] = find(symbols[i], symbols[i + 1]).rank;
  std::size_t pairs = size - 1;
  while (pairs > 0) {
    const auto best =
        std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(pairs));
    if (*best == no_symbol) break;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    symbols[at] = find(symbols[at], symbols[at + 1]).merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    ranks.erase(best);
    --pairs;
    if (at < pairs) ranks[at] = find(symbols[at], symbols[at + 1]).rank;
    if (at > 0) ranks[at - 1] = find(symbols[at - 1], symbols[at]).rank;
  }
}

// Symbols form a chain through their places; `ranks` holds the rank of the pair that begins at a
// place, so that an entry of the heap is out of date exactly where it names another rank.
void byte_pairs::merge_long(scratch& room) const {
  const auto size = static_cast<std::uint32_t>(room.symbols.size());
  room.next.resize(size);
  room.previous.resize(size);
  room.ranks.assign(size, no_symbol);
  room.heap.clear();
  for (std::uint32_t i = 0; i < size; ++i) {
    room.next[i] = i + 1;
    room.previous[i] = i - 1;
    if (i + 1 < size) room.ranks[i] = find(room.symbols[i], room.symbols[i + 1]).rank;
    if (room.ranks[i] != no_symbol) room.heap.push_back(pair_of(room.ranks[i], i));
  }
  std::make_heap(room.heap.begin(), room.heap.end(), std::greater<>());
  const auto renew = [&](std::uint32_t place) {
    const std::uint32_t right = room.next[place];
    room.ranks[place] =
        right < size ? find(room.symbols[place], room.symbols[right]).rank : no_symbol;
    if (room.ranks[place] == no_symbol) return;
    room.heap.push_back(pair_of(room.ranks[place], place));
    std::push_heap(room.heap.begin(), room.heap.end(), std::greater<>());
  };
  while (!room.heap.empty()) {
    const auto rank = static_cast<std::uint32_t>(room.heap.front() >> 32);
    const auto place = static_cast<std::uint32_t>(room.heap.front());
    std::pop_heap(room.heap.begin(), room.heap.end(), std::greater<>());
    room.heap.pop_back();
    if (room.ranks[place] != rank) continue;
    const std::uint32_t right = room.next[place];
    room.symbols[place] = find(room.symbols[place], room.symbols[right]).merged;
    room.ranks[right] = no_symbol;
    room.next[place] = room.next[right];
    if (room.next[place] < size) room.previous[room.next[place]] = place;
    renew(place);
    if (place > 0) renew(room.previous[place]);
  }
}

void byte_pairs::give(symbol each, std::vector<token_id>& out) const {
  if (each < tokens_) {
    out.push_back(static_cast<token_id>(each));
    return;
  }
  // A half is shorter than its whole, so this ends; a chain of merges without tokens is as deep as
  // the file makes it.
  std::vector<symbol> open{each};
  while (!open.empty()) {
    const symbol now = open.back();
    open.pop_back();
    if (now < tokens_) {
      out.push_back(static_cast<token_id>(now));
      continue;
    }
    const halves parts = extra_[now - tokens_];
    if (parts.left == no_symbol) continue;  // a byte without a token
    open.push_back(parts.right);
    open.push_back(parts.left);
  }
}

}  // namespace troupe::kernels
