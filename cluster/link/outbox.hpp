// What actors have handed over and the link has not taken yet, with the bound per peer.
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

#include "cluster/link/envelope_codec.hpp"

namespace troupe::link {

class outbox {
 public:
  explicit outbox(std::uint64_t queued_bytes_max) : queued_bytes_max_(queued_bytes_max) {}

  // Accepts within the peer's bound. An envelope that is larger than the whole bound is taken one
  // at a time.
  // due: as due() would say now.
  status submit(envelope_ptr message, bool& due);
  bool due() const;    // something should be taken
  bool empty() const;  // nothing waits at all

  // The owner of the sockets only:
  void open(const std::string& peer, std::uint64_t session);
  std::vector<outgoing_envelope> close(
      const std::string& peer);  // no longer up; what was not taken
  // Acknowledged: makes room, and takes the small ones of `retired` over, which it leaves empty.
  // Whoever submits next destroys two of them: a thread that frees what it will soon allocate again
  // spares the allocator a way across threads.
  void released(const std::string& peer, std::uint64_t bytes, std::vector<envelope_ptr>& retired);
  // From now on the lane is due at so many waiting bytes; 0: at the first envelope.
  void due_at(const std::string& peer, std::uint64_t waiting_bytes);
  void forget_retired();  // nobody submits: the memory goes back
  // Gives fn(session, envelope) everything that waits.
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
    for (auto& [session, envelopes] : taken_) {
      for (outgoing_envelope& envelope : envelopes) fn(session, std::move(envelope));
      envelopes.clear();
      spare_ = std::move(envelopes);
    }
  }

 private:
  struct lane {
    std::uint64_t session = 0;  // 0: not up
    std::uint64_t queued_bytes = 0;
    std::uint64_t oversize_bytes = 0;  // of the envelope beyond the bound that may be among them
    std::uint64_t pending_bytes = 0;
    std::uint64_t due_at_bytes = 0;
    std::vector<outgoing_envelope> pending;
  };

  const std::uint64_t queued_bytes_max_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, lane> lanes_;
  std::vector<lane*> waiting_;
  bool due_ = false;
  std::vector<envelope_ptr> retired_;  // at most retired_max
  std::vector<std::pair<std::uint64_t, std::vector<outgoing_envelope>>> taken_;  // the owner's
  std::vector<outgoing_envelope> spare_;
};

}  // namespace troupe::link
