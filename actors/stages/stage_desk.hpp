// Where this node's threads wait for what other nodes' stages answer.
//
// The inference actor computes a step between two messages, so that a reply in its own mailbox
// would come too late: replies go to the actor "stage_desk", which lays them here. A wait ends with
// the reply, when the node is lost, when the desk closes, or at its deadline. Threading: any
// thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "actors/shell/role.hpp"
#include "config/outcome.hpp"

namespace troupe {

class stage_desk {
 public:
  explicit stage_desk(std::string node) : node_(std::move(node)) {}

  // Posts `payload` to the stages actor of `node`; the reply is waited for under the number
  // returned.
  std::uint64_t ask(proto::Envelope payload, const std::string& node,
                    std::chrono::milliseconds deadline, post_office& office);
  // Once for each ask. Errors: what the other side refused with; unavailable; deadline_exceeded.
  result<envelope_ptr> wait(std::uint64_t asked);
  // Without a reply.
  void tell(proto::Envelope payload, const std::string& node, post_office& office) const;

  // One that nobody waits for, or that comes from another node than was asked, is dropped.
  void take(envelope_ptr reply);
  void lose_node(const std::string& node);
  // All waits end, and every later one at once.
  void close();

 private:
  struct open_question {
    std::string node;
    std::chrono::steady_clock::time_point until;
    envelope_ptr reply;
    bool lost = false;
  };

  void address(proto::Envelope& message, const std::string& node) const;

  const std::string node_;
  std::mutex guard_;
  std::condition_variable answered_;
  std::map<std::uint64_t, open_question> open_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
};

// The actor that hears for the desk.
class stage_desk_role final : public role {
 public:
  explicit stage_desk_role(std::shared_ptr<stage_desk> desk) : desk_(std::move(desk)) {}
  void receive(const envelope_ptr& message, time_point_us) override { desk_->take(message); }
  void notice(const role_event& event, time_point_us) override {
    if (const auto* lost = dynamic_cast<const node_lost*>(&event)) desk_->lose_node(lost->node);
  }

 private:
  std::shared_ptr<stage_desk> desk_;
};

}  // namespace troupe
