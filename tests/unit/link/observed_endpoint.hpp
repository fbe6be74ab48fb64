// An endpoint whose events a test can wait for.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "cluster/link/link.hpp"

namespace troupe::link {

class observed_events : public link_events {
 public:
  // What has come so far.
  std::vector<envelope_ptr> envelopes() const { return copy(envelopes_); }
  std::vector<envelope_ptr> undelivered() const { return copy(undelivered_); }
  std::vector<peer_view> ups() const { return copy(ups_); }
  std::vector<peer_view> downs() const { return copy(downs_); }
  std::vector<std::string> reasons() const { return copy(reasons_); }

  // Called for each envelope on the I/O thread, before it counts as come.
  void react(std::function<void(const peer_view&, const envelope_ptr&)> reaction) {
    const std::lock_guard hold(lock_);
    react_ = std::move(reaction);
  }

  bool wait_up(std::size_t count = 1, std::chrono::milliseconds most = patience) {
    return wait(most, [&] { return ups_.size() >= count; });
  }
  bool wait_down(std::size_t count = 1) {
    return wait(patience, [&] { return downs_.size() >= count; });
  }
  bool wait_envelopes(std::size_t count) {
    return wait(patience, [&] { return envelopes_.size() >= count; });
  }

  void on_envelope(const peer_view& from, envelope_ptr message) override {
    std::unique_lock hold(lock_);
    const auto reaction = react_;
    hold.unlock();
    if (reaction) reaction(from, message);
    hold.lock();
    envelopes_.push_back(std::move(message));
    changed_.notify_all();
  }
  void on_peer_up(const peer_view& peer) override {
    const std::lock_guard hold(lock_);
    ups_.push_back(peer);
    changed_.notify_all();
  }
  void on_peer_down(const peer_view& peer, std::string reason,
                    std::vector<envelope_ptr> lost) override {
    const std::lock_guard hold(lock_);
    downs_.push_back(peer);
    reasons_.push_back(std::move(reason));
    undelivered_.insert(undelivered_.end(), lost.begin(), lost.end());
    changed_.notify_all();
  }

 private:
  static constexpr std::chrono::milliseconds patience{20'000};

  template <class T>
  T copy(const T& all) const {
    const std::lock_guard hold(lock_);
    return all;
  }
  template <class Condition>
  bool wait(std::chrono::milliseconds most, Condition condition) {
    std::unique_lock hold(lock_);
    return changed_.wait_for(hold, most, condition);
  }

  mutable std::mutex lock_;
  std::condition_variable changed_;
  std::vector<envelope_ptr> envelopes_, undelivered_;
  std::vector<peer_view> ups_, downs_;
  std::vector<std::string> reasons_;
  std::function<void(const peer_view&, const envelope_ptr&)> react_;
};

struct observed_endpoint {
  observed_events events;
  std::unique_ptr<endpoint> link;

  explicit observed_endpoint(std::string name, std::uint64_t incarnation = 1,
                             link_settings settings = listening(),
                             peer_role role = peer_role::node) {
    auto opened = endpoint::open({std::move(name), incarnation, role}, settings, events);
    if (opened.ok()) link = std::move(opened).value();
  }
  static link_settings listening() {
    link_settings settings;
    settings.listen = "tcp://127.0.0.1:0";
    return settings;
  }
};

inline std::shared_ptr<proto::Envelope> envelope_to(const std::string& node, std::uint64_t number,
                                                    std::string payload = "x",
                                                    const std::string& actor = "node") {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_actor(actor);
  message->mutable_target()->set_node(node);
  message->mutable_target()->set_actor(actor);
  message->set_correlation(number);
  message->mutable_count_flood()->set_payload(std::move(payload));
  return message;
}

}  // namespace troupe::link
