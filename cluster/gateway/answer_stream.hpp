// The answer of one job as the gateway holds it: takes frames from attempts in whatever order and
// number they come, keeps each token once, by index, and cuts out what a client may have.
//
// Invariants: tokens 0 .. size() - 1 never change once taken; hash_at(n) is the running hash of the
// first n; a frame that disagrees with what is held changes nothing. Early frames wait within
// early_frames_max. Threading: none; pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proto/envelope.pb.h"

namespace troupe::cluster {

// What a job asks to be told beside each token.
struct token_wishes {
  std::uint32_t alternatives = 0;
  bool bytes = false;
};
inline token_wishes wishes_of(const proto::JobSpecification& job) {
  return {job.alternatives(), job.token_bytes()};
}

class answer_stream {
 public:
  static constexpr std::size_t early_frames_max = 256;

  enum class taken {
    advanced,     // the next tokens are here
    early,        // kept until the tokens before it come
    repeated,     // already held, and equal
    contradicts,  // differs from what is held, or is no whole frame: the attempt cannot be trusted
    overflow,     // too many early frames
  };

  // Each token of a frame has what is wished, and nothing else.
  taken take(const proto::SequenceTokens& frame, std::uint32_t tokens_max,
             const token_wishes& wishes = {});
  // Tokens that the client or the journal holds: those that are here already must be equal, the
  // others must follow. False, and nothing taken, where it is not so.
  bool take_held(const proto::JobTokens& frame, std::uint32_t tokens_max,
                 const token_wishes& wishes = {});
  // A cached answer as a whole; false (and nothing taken) where it is not consistent in itself.
  // Only into an empty stream.
  bool take_whole(const proto::CachedAnswer& answer, std::uint32_t tokens_max);

  // Which class computes the tokens that are taken from now on (take_held knows by itself).
  void computed_by(const std::string& numerics_class);
  // Of the tokens that are here, in their order; empty where there are none.
  std::string first_class() const { return classes_.empty() ? "" : classes_.front().second; }
  bool class_changed() const { return classes_.size() > 1; }

  std::uint32_t size() const { return static_cast<std::uint32_t>(ids_.size()); }
  bool has_gap() const { return !early_.empty(); }
  void forget_early() { early_.clear(); }
  std::uint64_t hash_at(std::uint32_t tokens) const;
  const std::vector<std::int32_t>& ids() const { return ids_; }
  const std::string& text() const { return text_; }
  std::uint64_t bytes_held() const;

  // Tokens [first, first + count) with the text that they add, less where another class begins
  // before. Needs first + count <= size().
  proto::JobTokens cut(std::uint32_t first, std::uint32_t count) const;
  // Everything held but alternatives and bytes, for the cache; the caller adds reason, tail and
  // origin.
  proto::CachedAnswer whole() const;

 private:
  template <class Frame>
  bool append(const Frame& frame);

  std::vector<std::int32_t> ids_;
  std::vector<std::uint64_t> hashes_;                   // after each token
  std::vector<std::uint32_t> text_ends_;                // bytes of text after each token
  std::vector<float> log_probabilities_;                // empty, or one for each token
  std::vector<proto::TokenAlternatives> alternatives_;  // empty, or one for each token
  std::vector<std::string> bytes_;                      // empty, or one for each token
  std::string text_;
  std::string class_now_;
  std::vector<std::pair<std::uint32_t, std::string>> classes_;  // from which token on
  std::map<std::uint32_t, proto::SequenceTokens> early_;
};

}  // namespace troupe::cluster
