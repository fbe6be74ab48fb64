#include "actors/model_loader/model_fetch.hpp"

#include <algorithm>

namespace troupe {

model_fetch::model_fetch(const loader_settings& settings, std::string digest,
                         std::uint64_t size_bytes, std::vector<std::string> holders)
    : piece_bytes_(std::max(1u, settings.piece_bytes)),
      in_flight_max_(std::max(1u, settings.pieces_in_flight)),
      failures_max_(std::max(1u, settings.piece_failures_max)),
      digest_(std::move(digest)),
      size_(size_bytes),
      holders_(std::move(holders)) {}

model_fetch::effects model_fetch::opened(std::uint64_t held) {
  held_ = next_ = std::min(held, size_);
  open_ = true;
  return go_on();
}

model_fetch::effects model_fetch::received(const proto::ModelBytes& bytes) {
  const auto asked = asked_.find(bytes.offset());
  if (asked == asked_.end()) return {};
  const std::uint32_t length = asked->second;
  if (bytes.digest() != digest_ || bytes.total_bytes() != size_ || bytes.data().empty() ||
      bytes.data().size() > length)
    return missed(bytes.offset(),
                  {error_code::data_corrupt,
                   "a piece of model " + digest_ + " at byte " + std::to_string(bytes.offset()) +
                       " came with another size or digest",
                   {}});
  failures_ = 0;
  const std::uint64_t got = bytes.data().size();
  arrived_[bytes.offset()] = bytes.data();
  asked_.erase(asked);
  if (got < length) again_[bytes.offset() + got] = length - static_cast<std::uint32_t>(got);
  return go_on();
}

model_fetch::effects model_fetch::missed(std::uint64_t offset, const error& why) {
  const auto asked = asked_.find(offset);
  if (asked == asked_.end()) return {};
  again_[offset] = asked->second;
  asked_.erase(asked);
  ++holder_;
  if (++failures_ >= failures_max_) {
    effects out;
    out.failed = error{why.code,
                       "fetching model " + digest_ + " stopped at byte " + std::to_string(held_) +
                           " of " + std::to_string(size_) + ": " + why.message,
                       "load it again: it goes on from there"};
    return out;
  }
  return go_on();
}

model_fetch::effects model_fetch::written(std::uint64_t held) {
  writing_ = false;
  held_ = held;
  return go_on();
}

model_fetch::effects model_fetch::go_on() {
  effects out;
  if (!open_) return out;
  if (held_ == size_) {
    out.complete = true;
    return out;
  }
  if (!writing_) {
    if (const auto next = arrived_.find(held_); next != arrived_.end()) {
      out.writes = write{next->first, std::move(next->second)};
      arrived_.erase(next);
      writing_ = true;
    }
  }
  // The piece that the file waits for may always be asked for: the pieces behind it may fill the
  // window.
  const auto busy = [&] { return asked_.size() + arrived_.size() + (writing_ ? 1 : 0); };
  while (!holders_.empty()) {
    std::uint64_t offset = next_;
    std::uint32_t length =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes_, size_ - next_));
    if (!again_.empty()) {
      offset = again_.begin()->first;
      length = again_.begin()->second;
    }
    if (length == 0) break;
    if (busy() >= in_flight_max_ && offset != held_) break;
    if (again_.empty()) {
      next_ += length;
    } else {
      again_.erase(again_.begin());
    }
    asked_[offset] = length;
    out.asks.push_back({holders_[holder_ % holders_.size()], offset, length});
  }
  return out;
}

}  // namespace troupe
