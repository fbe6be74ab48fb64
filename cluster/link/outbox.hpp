// What actors have handed over and the link has not taken yet, with the bound per peer.
//
// Small envelopes are packed here, by the sender: it has the message in its cache, and can destroy
// it at once. Large ones wait as they are.
//
// A peer's lane is due when what waits in it could leave: at once, or, while enough is on the way
// already, when it would fill a frame (the owner says how much is worth it). Until then envelopes
// gather here at the price of a push, and leave with the next acknowledgement.
//
// Threading: any thread; one mutex, held for a few instructions. Order: of one peer, as submitted.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/link/packed_queue.hpp"

namespace troupe::link {

class outbox {
 public:
  outbox(std::uint64_t queued_bytes_max, std::uint64_t packed_bytes_max)
      : queued_bytes_max_(queued_bytes_max), packed_bytes_max_(packed_bytes_max) {}

  // Accepts within the peer's bound. An envelope that is larger than the whole bound is taken one
  // at a time.
  // due: as due() would say now.
  status submit(const envelope_ptr& message, bool& due);
  bool due() const;    // something should be taken
  bool empty() const;  // nothing waits at all

  // The owner of the sockets only:
  void open(const std::string& peer, std::uint64_t session);
  // No longer up. What was not taken, oldest first.
  std::vector<outgoing_run> close(const std::string& peer);
  // Acknowledged: makes room. Some of `emptied` are kept for what comes next; it is left empty.
  void released(const std::string& peer, std::uint64_t bytes, std::vector<packed_bytes>& emptied);
  // From now on the lane is due at so many waiting bytes; 0: at the first envelope.
  void due_at(const std::string& peer, std::uint64_t waiting_bytes);
  void forget_emptied();  // nobody submits: the memory goes back
  // Gives fn(session, run) everything that waits.
  template <class Fn>
  void take(Fn&& fn) {
    taken_.clear();
    {
      const std::lock_guard hold(mutex_);
      for (lane* from : waiting_) {
        taken_.emplace_back(from->session, std::move(from->pending));
        from->pending = std::move(spare_);
        spare_ = {};
        from->pending_bytes = 0;
      }
      waiting_.clear();
      due_ = false;
    }
    for (auto& [session, runs] : taken_) {
      for (outgoing_run& run : runs) fn(session, std::move(run));
      runs.clear();
      spare_ = std::move(runs);
    }
  }

 private:
  struct lane {
    std::uint64_t session = 0;  // 0: not up
    std::uint64_t queued_bytes = 0;
    std::uint64_t oversize_bytes = 0;  // of the envelope beyond the bound that may be among them
    std::uint64_t pending_bytes = 0;
    std::uint64_t due_at_bytes = 0;
    std::vector<outgoing_run> pending;
  };

  status admit(const std::string& peer, std::uint64_t bytes, lane*& to);
  void pack(lane& to, std::span<const std::uint8_t> envelope);

  const std::uint64_t queued_bytes_max_;
  const std::uint64_t packed_bytes_max_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, lane> lanes_;
  std::vector<lane*> waiting_;
  bool due_ = false;
  std::vector<packed_bytes> emptied_;                                       // at most emptied_max
  std::vector<std::pair<std::uint64_t, std::vector<outgoing_run>>> taken_;  // the owner's
  std::vector<outgoing_run> spare_;
};

}  // namespace troupe::link
