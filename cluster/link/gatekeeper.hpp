// Tells ZeroMQ which keys may connect: the ZAP peer of one context (RFC 27), on a thread of its
// own.
//
// Without one, CURVE lets every key in. So it is there before anything is bound, and is put to the
// test with a key that nobody knows (prove_gate). A connection that it admitted carries its key as
// User-Id on every frame; the link drops greetings that have none. Threading: open, allow and alive
// from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <zmq.hpp>

#include "cluster/keys/keys.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

class gatekeeper {
 public:
  // The context must outlive it, and have no other.
  static result<std::unique_ptr<gatekeeper>> open(zmq::context_t& context,
                                                  std::set<keys::public_key> admitted);
  ~gatekeeper();
  gatekeeper(const gatekeeper&) = delete;
  gatekeeper& operator=(const gatekeeper&) = delete;

  // For connections from now on; those that stand are the link's to end.
  void allow(std::set<keys::public_key> admitted);
  // From now on strangers are named in the log, one line a second at most.
  void tell_of_strangers() { telling_ = true; }
  // False once its thread has ended for whatever reason: nothing is to be believed any more.
  bool alive() const { return alive_; }

 private:
  gatekeeper() = default;
  void answer_requests();
  void answer_one();
  bool admits(const keys::public_key& key);
  void tell_of_stranger(const keys::public_key& key, const std::string& from);

  zmq::socket_t requests_;
  int stop_ = -1;  // an eventfd
  std::mutex guard_;
  std::set<keys::public_key> admitted_;
  std::atomic<bool> alive_{true}, telling_{false};
  std::uint64_t strangers_ = 0, strangers_told_ = 0;  // the thread's
  std::chrono::steady_clock::time_point told_at_{};
  std::thread thread_;
};

// Tries the door of this context on a loopback port of its own: a fresh key has to be turned away,
// `own`, which has to be admitted, has to get through under its own name. permission_denied where
// that does not hold within ten seconds.
status prove_gate(zmq::context_t& context, const keys::key_pair& own);

}  // namespace troupe::link
