#include "kernels/tokenizer/piece_pairs.hpp"

#include <algorithm>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {
namespace {

// True where `a` is to be merged after `b`.
constexpr auto later = [](const piece_pairs::candidate& a, const piece_pairs::candidate& b) {
  return a.score < b.score || (a.score == b.score && a.place > b.place);
};

}  // namespace

piece_pairs::piece_pairs(const vocabulary& words) : words_(words), index_(words.texts) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    const char name[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
    byte_tokens_[byte] = find({name, sizeof name});
    const char itself = static_cast<char>(byte);
    if (byte_tokens_[byte] < 0) byte_tokens_[byte] = find({&itself, 1});
  }
}

bool piece_pairs::encode(std::string_view text, scratch& room, std::vector<token_id>& out) const {
  room.begins.clear();
  for (std::size_t at = 0; at < text.size(); at += utf8::read_front(text.substr(at)).size)
    room.begins.push_back(static_cast<std::uint32_t>(at));
  const auto size = static_cast<std::uint32_t>(room.begins.size());
  room.begins.push_back(static_cast<std::uint32_t>(text.size()));
  room.next.resize(size);
  room.previous.resize(size);
  room.merged.assign(size, -1);
  room.heap.clear();
  // Places go up along the chain, so a symbol reaches from its beginning to the beginning of the
  // next in the chain.
  const auto renew = [&](std::uint32_t place) {
    room.merged[place] = -1;
    const std::uint32_t right = room.next[place];
    if (right >= size) return;
    const std::uint32_t begin = room.begins[place];
    const token_id id = find(text.substr(begin, room.begins[room.next[right]] - begin));
    room.merged[place] = id;
    if (id < 0) return;
    room.heap.push_back({words_.scores[id], place, id});
    std::push_heap(room.heap.begin(), room.heap.end(), later);
  };
  for (std::uint32_t i = 0; i < size; ++i) {
    room.next[i] = i + 1;
    room.previous[i] = i - 1;
  }
  for (std::uint32_t i = 0; i < size; ++i) renew(i);
  while (!room.heap.empty()) {
    const candidate best = room.heap.front();
    std::pop_heap(room.heap.begin(), room.heap.end(), later);
    room.heap.pop_back();
    if (room.merged[best.place] != best.merged) continue;  // out of date
    const std::uint32_t right = room.next[best.place];
    room.merged[right] = -1;
    room.next[best.place] = room.next[right];
    if (room.next[right] < size) room.previous[room.next[right]] = best.place;
    renew(best.place);
    if (best.place > 0) renew(room.previous[best.place]);
  }
  for (std::uint32_t at = 0; at < size; at = room.next[at]) {
    const std::uint32_t begin = room.begins[at];
    if (!give(text.substr(begin, room.begins[room.next[at]] - begin), out)) return false;
  }
  return true;
}

bool piece_pairs::give(std::string_view text, std::vector<token_id>& out) const {
  if (const token_id id = find(text); id >= 0) {
    out.push_back(id);
    return true;
  }
  const bool bytes = std::all_of(text.begin(), text.end(), [&](char byte) {
    return byte_tokens_[static_cast<unsigned char>(byte)] >= 0;
  });
  if (bytes) {
    for (const char byte : text) out.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
    return true;
  }
  if (!words_.unknown) return false;
  out.push_back(*words_.unknown);
  return true;
}

}  // namespace troupe::kernels
