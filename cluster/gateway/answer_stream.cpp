#include "cluster/gateway/answer_stream.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "actors/running_hash.hpp"

namespace troupe::cluster {
namespace {

template <class Frame>
bool fulfils(const Frame& frame, const token_wishes& wishes) {
  if (frame.token_bytes_size() != (wishes.bytes ? frame.ids_size() : 0)) return false;
  if (frame.alternatives_size() != (wishes.alternatives > 0 ? frame.ids_size() : 0)) return false;
  return std::all_of(frame.alternatives().begin(), frame.alternatives().end(),
                     [&](const proto::TokenAlternatives& one) {
                       return one.ids_size() == one.log_probabilities_size() &&
                              one.token_bytes_size() == (wishes.bytes ? one.ids_size() : 0) &&
                              static_cast<std::uint32_t>(one.ids_size()) <= wishes.alternatives;
                     });
}

// Where the text after each token of the frame ends, counted from its beginning; nullopt: nonsense.
std::optional<std::vector<std::uint32_t>> text_ends_of(const proto::SequenceTokens& frame) {
  // One text for several tokens: it counts to the last of them.
  std::vector<std::uint32_t> ends(static_cast<std::size_t>(frame.ids_size()), 0);
  ends.back() = static_cast<std::uint32_t>(frame.text().size());
  return ends;
}

std::optional<std::vector<std::uint32_t>> text_ends_of(const proto::JobTokens& frame) {
  std::vector<std::uint32_t> ends(frame.text_ends().begin(), frame.text_ends().end());
  if (ends.empty()) ends.resize(static_cast<std::size_t>(frame.ids_size()), 0);
  if (frame.text_ends().empty()) ends.back() = static_cast<std::uint32_t>(frame.text().size());
  const bool fits = ends.size() == static_cast<std::size_t>(frame.ids_size()) &&
                    std::is_sorted(ends.begin(), ends.end()) && ends.back() == frame.text().size();
  return fits ? std::optional(std::move(ends)) : std::nullopt;
}

// nullopt where its text cannot be cut there.
std::optional<proto::JobTokens> without_first(const proto::JobTokens& frame, int tokens) {
  const auto ends = text_ends_of(frame);
  if (!ends || (frame.text_ends().empty() && !frame.text().empty())) return std::nullopt;
  const std::uint32_t cut = (*ends)[static_cast<std::size_t>(tokens) - 1];
  proto::JobTokens out;
  out.set_first_index(frame.first_index() + static_cast<std::uint32_t>(tokens));
  out.set_running_hash(frame.running_hash());
  out.set_numerics_class(frame.numerics_class());
  out.set_text(frame.text().substr(cut));
  for (int i = tokens; i < frame.ids_size(); ++i) {
    out.add_ids(frame.ids(i));
    out.add_text_ends((*ends)[static_cast<std::size_t>(i)] - cut);
    if (i < frame.log_probabilities_size()) out.add_log_probabilities(frame.log_probabilities(i));
    if (i < frame.alternatives_size()) *out.add_alternatives() = frame.alternatives(i);
    if (i < frame.token_bytes_size()) out.add_token_bytes(frame.token_bytes(i));
  }
  return out;
}

}  // namespace

void answer_stream::computed_by(const std::string& numerics_class) {
  class_now_ = numerics_class;
}

std::uint64_t answer_stream::hash_at(std::uint32_t tokens) const {
  assert(tokens <= size());
  return tokens == 0 ? running_hash_start : hashes_[tokens - 1];
}

answer_stream::taken answer_stream::take(const proto::SequenceTokens& frame,
                                         std::uint32_t tokens_max, const token_wishes& wishes) {
  const auto count = static_cast<std::uint64_t>(frame.ids_size());
  const std::uint64_t end = frame.first_index() + count;
  const auto scores = static_cast<std::uint64_t>(frame.log_probabilities_size());
  if (count == 0 || end > tokens_max || (scores != 0 && scores != count)) return taken::contradicts;
  if (!fulfils(frame, wishes)) return taken::contradicts;
  if (frame.first_index() < size()) {
    if (end > size()) return taken::contradicts;
    const bool equal =
        std::equal(frame.ids().begin(), frame.ids().end(), ids_.begin() + frame.first_index()) &&
        frame.running_hash() == hash_at(static_cast<std::uint32_t>(end));
    return equal ? taken::repeated : taken::contradicts;
  }
  if (frame.first_index() > size()) {
    if (early_.size() >= early_frames_max && !early_.contains(frame.first_index()))
      return taken::overflow;
    early_.emplace(frame.first_index(), frame);
    return taken::early;
  }
  if (!append(frame)) return taken::contradicts;
  while (!early_.empty() && early_.begin()->first <= size()) {
    const proto::SequenceTokens next = std::move(early_.begin()->second);
    early_.erase(early_.begin());
    if (next.first_index() == size()) {
      if (!append(next)) return taken::contradicts;
    } else if (take(next, tokens_max, wishes) == taken::contradicts) {
      return taken::contradicts;
    }
  }
  return taken::advanced;
}

bool answer_stream::take_held(const proto::JobTokens& frame, std::uint32_t tokens_max,
                              const token_wishes& wishes) {
  const auto count = static_cast<std::uint64_t>(frame.ids_size());
  const auto scores = static_cast<std::uint64_t>(frame.log_probabilities_size());
  const std::uint64_t end = frame.first_index() + count;
  if (frame.first_index() > size() || count == 0 || end > tokens_max) return false;
  if ((scores != 0 && scores != count) || !fulfils(frame, wishes)) return false;
  const std::uint32_t known =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(size(), end)) - frame.first_index();
  if (!std::equal(frame.ids().begin(), frame.ids().begin() + static_cast<int>(known),
                  ids_.begin() + frame.first_index()))
    return false;
  if (end <= size()) return frame.running_hash() == hash_at(static_cast<std::uint32_t>(end));
  if (known > 0) {
    const auto rest = without_first(frame, static_cast<int>(known));
    return rest && take_held(*rest, tokens_max, wishes);
  }
  const std::string now = std::exchange(class_now_, frame.numerics_class());
  const bool taken = append(frame);
  class_now_ = now;
  return taken;
}

template <class Frame>
bool answer_stream::append(const Frame& frame) {
  std::uint64_t hash = hash_at(size());
  std::vector<std::uint64_t> hashes;
  hashes.reserve(static_cast<std::size_t>(frame.ids_size()));
  for (const std::int32_t id : frame.ids()) {
    hash = running_hash_next(hash, id);
    hashes.push_back(hash);
  }
  if (hash != frame.running_hash()) return false;
  if (text_.size() + frame.text().size() > UINT32_MAX) return false;
  const auto ends = text_ends_of(frame);
  if (!ends) return false;
  for (const std::uint32_t end : *ends)
    text_ends_.push_back(static_cast<std::uint32_t>(text_.size()) + end);
  text_ += frame.text();
  if (classes_.empty() || classes_.back().second != class_now_)
    classes_.emplace_back(size(), class_now_);
  if (frame.log_probabilities_size() > 0) {
    log_probabilities_.resize(ids_.size(), 0.0f);
    log_probabilities_.insert(log_probabilities_.end(), frame.log_probabilities().begin(),
                              frame.log_probabilities().end());
  } else if (!log_probabilities_.empty()) {
    log_probabilities_.resize(ids_.size() + frame.ids_size(), 0.0f);
  }
  alternatives_.insert(alternatives_.end(), frame.alternatives().begin(),
                       frame.alternatives().end());
  bytes_.insert(bytes_.end(), frame.token_bytes().begin(), frame.token_bytes().end());
  ids_.insert(ids_.end(), frame.ids().begin(), frame.ids().end());
  hashes_.insert(hashes_.end(), hashes.begin(), hashes.end());
  return true;
}

bool answer_stream::take_whole(const proto::CachedAnswer& answer, std::uint32_t tokens_max) {
  const int count = answer.ids_size();
  const int scores = answer.log_probabilities_size();
  if (size() != 0 || has_gap() || static_cast<std::uint64_t>(count) > tokens_max) return false;
  if (scores != 0 && scores != count) return false;
  if (answer.text_ends_size() != count) return false;
  std::uint32_t end = 0;
  for (const std::uint32_t at : answer.text_ends()) {
    if (at < end || at > answer.text().size()) return false;
    end = at;
  }
  std::vector<std::uint64_t> hashes;
  std::uint64_t hash = running_hash_start;
  for (const std::int32_t id : answer.ids()) hashes.push_back(hash = running_hash_next(hash, id));
  if (hash != answer.running_hash()) return false;
  ids_.assign(answer.ids().begin(), answer.ids().end());
  hashes_ = std::move(hashes);
  text_ends_.assign(answer.text_ends().begin(), answer.text_ends().end());
  text_ = answer.text().substr(0, end);
  log_probabilities_.assign(answer.log_probabilities().begin(), answer.log_probabilities().end());
  classes_ = {{0, answer.numerics_class()}};
  return true;
}

proto::JobTokens answer_stream::cut(std::uint32_t first, std::uint32_t count) const {
  assert(count > 0 && first <= size() && count <= size() - first);
  proto::JobTokens out;
  out.set_first_index(first);
  for (const auto& [from, numerics_class] : classes_) {
    if (from <= first)
      out.set_numerics_class(numerics_class);
    else
      count = std::min(count, from - first);
  }
  out.mutable_ids()->Add(ids_.begin() + first, ids_.begin() + first + count);
  const std::uint32_t from = first == 0 ? 0 : text_ends_[first - 1];
  out.set_text(text_.substr(from, text_ends_[first + count - 1] - from));
  if (count > 1)
    for (std::uint32_t i = first; i < first + count; ++i) out.add_text_ends(text_ends_[i] - from);
  if (!log_probabilities_.empty())
    out.mutable_log_probabilities()->Add(log_probabilities_.begin() + first,
                                         log_probabilities_.begin() + first + count);
  if (!alternatives_.empty())
    for (std::uint32_t i = first; i < first + count; ++i)
      *out.add_alternatives() = alternatives_[i];
  if (!bytes_.empty())
    for (std::uint32_t i = first; i < first + count; ++i) out.add_token_bytes(bytes_[i]);
  out.set_running_hash(hash_at(first + count));
  return out;
}

std::uint64_t answer_stream::bytes_held() const {
  std::uint64_t bytes = ids_.size() * 24u + text_.size();
  for (const proto::TokenAlternatives& one : alternatives_) {
    bytes += sizeof one + static_cast<std::uint64_t>(one.ids_size()) * 8;
    for (const std::string& text : one.token_bytes()) bytes += sizeof text + text.size();
  }
  for (const std::string& text : bytes_) bytes += sizeof text + text.size();
  return bytes;
}

proto::CachedAnswer answer_stream::whole() const {
  proto::CachedAnswer out;
  out.mutable_ids()->Add(ids_.begin(), ids_.end());
  out.set_text(text_);
  out.mutable_text_ends()->Add(text_ends_.begin(), text_ends_.end());
  out.mutable_log_probabilities()->Add(log_probabilities_.begin(), log_probabilities_.end());
  out.set_running_hash(hash_at(size()));
  return out;
}

}  // namespace troupe::cluster
