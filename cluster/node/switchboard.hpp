// Where envelopes change hands: between the actors of this node, and between them and the link.
//
// What cannot be delivered is answered to its sender by an Error, where it waits for a reply. From
// outside: the sender's node must be the peer that the link names; clients reach only the actors of
// client_reach. Threading: any thread; nothing blocks. The link endpoint is set once, before the
// first envelope leaves for another node, and taken away before it is destroyed.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/shell/role_actor.hpp"
#include "cluster/link/link.hpp"

namespace troupe::cluster {

inline constexpr std::array<std::string_view, 4> client_reach = {"gateway", "node", "monitoring",
                                                                 "model_loader"};

// Actors that wait for, or keep something of, another node.
inline constexpr std::array<std::string_view, 5> told_of_losses = {
    "gateway", "inference", "model_loader", "stages", "stage_desk"};

// Their work on a message is short, and a job's tokens or its steps pass through them.
inline constexpr std::array<std::string_view, 3> inline_roles = {"gateway", "node", "stage_desk"};

class switchboard final : public post_office {
 public:
  explicit switchboard(std::string node) : node_(std::move(node)) {}

  void attach(const std::string& actor, role_handle handle);
  void connect(link::endpoint* endpoint);
  // Called, on any thread, when an envelope for a client's session could not be sent: that stream
  // has a hole now.
  void on_client_unreachable(std::function<void(const std::string&)> call);

  // Clients within this process: what is addressed to a node whose name begins so goes to `take`,
  // on the posting thread. No peer of the link may bear such a name.
  void host_sessions(std::string prefix, std::function<void(envelope_ptr)> take);

  // Where the gateway hears what is posted here (null: on a worker). It outlives the board's use,
  // open or closed.
  void lend_lane(loop_lane* lane) { lent_lane_ = lane; }

  void post(envelope_ptr message) override;
  void post_together(std::vector<envelope_ptr> messages) override;
  // What came in together, in order: each actor gets its share at once.
  // Actors of inline_roles run on the calling thread, through its lane (null: all on workers).
  void arrive(const link::peer_view& from, std::span<envelope_ptr> messages,
              inline_lane* lane = nullptr);
  // What a lost peer did not take: those who wait for a reply are told.
  void return_undelivered(const std::vector<envelope_ptr>& messages, const std::string& reason);
  bool notice(const std::string& actor, role_event_ptr event) const;

  std::uint64_t rejected() const { return rejected_; }

 private:
  // False: the envelope is for nobody here.
  bool deliver_to_session(const envelope_ptr& message) const;
  bool admits(const link::peer_view& from, const proto::Envelope& message);
  role_handle role_of(std::string_view actor) const;
  void deliver_here(const envelope_ptr& message);
  void return_refused(const role_handle& handle, const proto::Envelope& message);
  void bounce(const proto::Envelope& message, proto::Error::Code code, std::string why,
              std::string mend = {});

  std::string node_;
  mutable std::shared_mutex guard_;
  std::map<std::string, role_handle, std::less<>> roles_;
  link::endpoint* endpoint_ = nullptr;
  std::function<void(const std::string&)> client_unreachable_;
  std::string session_prefix_;
  std::function<void(envelope_ptr)> session_take_;
  std::atomic<loop_lane*> lent_lane_{nullptr};
  std::atomic<std::uint64_t> rejected_{0};  // from outside, refused for their sender or target
};

}  // namespace troupe::cluster
