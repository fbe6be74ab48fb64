#include "kernels/model_file/byte_pair_trainer.hpp"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace troupe::kernels {
namespace {

using pair_key = std::uint64_t;

pair_key key_of(std::uint32_t left, std::uint32_t right) {
  return (static_cast<pair_key>(left) << 32) | right;
}

struct pair_use {
  std::uint64_t count = 0;
  std::vector<std::uint32_t> words;  // where it was ever seen, perhaps no longer, perhaps twice
};

struct candidate {
  std::uint64_t count;
  pair_key key;
  bool operator<(const candidate& other) const {
    return count != other.count ? count < other.count : key > other.key;
  }
};

class trainer {
 public:
  explicit trainer(const std::vector<counted_word>& words) {
    for (const counted_word& word : words) {
      if (word.bytes.empty()) continue;
      std::vector<std::uint32_t> ids;
      for (const char c : word.bytes) ids.push_back(static_cast<unsigned char>(c));
      words_.push_back(std::move(ids));
      counts_.push_back(word.count);
    }
    for (std::uint32_t byte = 0; byte < 256; ++byte)
      tokens_.emplace_back(1, static_cast<char>(byte));
    known_.insert(tokens_.begin(), tokens_.end());
    for (std::uint32_t word = 0; word < words_.size(); ++word) count_pairs(word);
    for (const auto& [key, use] : uses_) heap_.push({use.count, key});
  }

  std::vector<byte_pair_merge> train(std::size_t wanted) {
    std::vector<byte_pair_merge> merges;
    while (merges.size() < wanted && !heap_.empty()) {
      const candidate best = heap_.top();
      heap_.pop();
      const auto use = uses_.find(best.key);
      if (use == uses_.end() || use->second.count != best.count) continue;  // an older count
      if (best.count < 2) break;
      const auto left = static_cast<std::uint32_t>(best.key >> 32);
      const auto right = static_cast<std::uint32_t>(best.key);
      std::string bytes = tokens_[left] + tokens_[right];
      if (!known_.insert(bytes).second) {  // another pair made this token already
        uses_.erase(use);
        continue;
      }
      const auto id = static_cast<std::uint32_t>(tokens_.size());
      tokens_.push_back(bytes);
      merges.push_back({left, right, std::move(bytes)});
      apply(best.key, left, right, id);
    }
    return merges;
  }

 private:
  void count_pairs(std::uint32_t word) {
    const std::vector<std::uint32_t>& ids = words_[word];
    for (std::size_t i = 1; i < ids.size(); ++i) {
      pair_use& use = uses_[key_of(ids[i - 1], ids[i])];
      use.count += counts_[word];
      use.words.push_back(word);
    }
  }

  void apply(pair_key key, std::uint32_t left, std::uint32_t right, std::uint32_t id) {
    std::vector<std::uint32_t> touched = std::move(uses_[key].words);
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    std::unordered_set<pair_key> changed;
    for (const std::uint32_t word : touched) {
      std::vector<std::uint32_t>& ids = words_[word];
      for (std::size_t i = 1; i < ids.size(); ++i) {
        const pair_key old = key_of(ids[i - 1], ids[i]);
        const auto use = uses_.find(old);
        if (use == uses_.end()) continue;
        use->second.count -= std::min(use->second.count, counts_[word]);
        changed.insert(old);
      }
      std::vector<std::uint32_t> merged;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const bool joins = i + 1 < ids.size() && ids[i] == left && ids[i + 1] == right;
        merged.push_back(joins ? id : ids[i]);
        if (joins) ++i;
      }
      ids = std::move(merged);
      count_pairs(word);
      for (std::size_t i = 1; i < ids.size(); ++i) changed.insert(key_of(ids[i - 1], ids[i]));
    }
    uses_.erase(key);
    for (const pair_key each : changed)
      if (const auto use = uses_.find(each); use != uses_.end())
        heap_.push({use->second.count, each});
  }

  std::vector<std::vector<std::uint32_t>> words_;
  std::vector<std::uint64_t> counts_;
  std::vector<std::string> tokens_;
  std::unordered_set<std::string> known_;
  std::unordered_map<pair_key, pair_use> uses_;
  std::priority_queue<candidate> heap_;
};

}  // namespace

std::vector<byte_pair_merge> train_byte_pairs(const std::vector<counted_word>& words,
                                              std::size_t wanted) {
  return trainer(words).train(wanted);
}

}  // namespace troupe::kernels
