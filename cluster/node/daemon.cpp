#include "cluster/node/daemon.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "cluster/audit/configuration_digest.hpp"
#include "cluster/http/job_book.hpp"
#include "cluster/link/link_faults.hpp"
#include "cluster/node/log_sinks.hpp"
#include "cluster/node/node_daemon.hpp"

namespace troupe::cluster {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds models_wait{
    10'000};  // for the first list of models, before the node says that it serves
constexpr milliseconds roles_end_wait{10'000};
constexpr std::size_t gone_max = 256;

}  // namespace

void node_daemon::on_peer_up(const link::peer_view& peer) {
  if (peer.who.role == link::peer_role::client) return;
  auto came = std::make_shared<peer_came>(peer.who.name, peer.who.incarnation, peer.address);
  {
    const std::lock_guard lock{peers_guard_};
    peers_[peer.who.name] = came;
    gone_.erase(peer.who.name);
  }
  board_.notice("node", std::move(came));
}

void node_daemon::on_peer_down(const link::peer_view& peer, std::string reason,
                               std::vector<envelope_ptr> undelivered) {
  if (peer.who.role == link::peer_role::client) {
    board_.notice("gateway", std::make_shared<troupe::node_lost>(peer.who.name));
  } else {
    {
      const std::lock_guard lock{peers_guard_};
      const auto known = peers_.find(peer.who.name);
      if (known != peers_.end() && known->second->incarnation == peer.who.incarnation) {
        peers_.erase(known);
        if (gone_.size() < gone_max) gone_.insert(peer.who.name);
      }
    }
    board_.notice("node", std::make_shared<peer_went>(peer.who.name, peer.who.incarnation, reason));
  }
  board_.return_undelivered(undelivered, reason);
}

void node_daemon::spawn(const std::string& actor) {
  role_handle handle = make(actor);
  handle.actor()->attach_functor([this, actor](const caf::error&) { wakeups_.actor_ended(actor); });
  roles_[actor] = handle;
  board_.attach(actor, std::move(handle));
}

void node_daemon::tell_links_to_node_actor() {
  const std::lock_guard lock{peers_guard_};
  for (const auto& [name, came] : peers_) board_.notice("node", came);
  board_.notice(
      "node", std::make_shared<node_listens>(settings_.advertise.empty()
                                                 ? address_to_tell(address(), interface_addresses())
                                                 : settings_.advertise));
}

// A node actor that ended may have had the news of a loss in its mailbox; its successor does not
// know that node.
void node_daemon::tell_gone_peers() {
  const std::lock_guard lock{peers_guard_};
  for (const std::string& name : gone_)
    for (const std::string_view actor : told_of_losses)
      board_.notice(std::string(actor), std::make_shared<troupe::node_lost>(name));
}

status node_daemon::begin() {
  std::vector<std::string> actors = {"monitoring", "cache_tier"};
  if (settings_.computes) actors.insert(actors.end(), {"stage_desk", "inference", "stages"});
  for (const char* actor : {"model_loader", "gateway", "node"}) actors.push_back(actor);
  if (settings_.node.chaos.enabled) settings_.link.faults = std::make_shared<link::link_faults>();
  system_.emplace(config_);
  lane_.emplace(*system_);
  for (const std::string& actor : actors) gauges_[actor] = std::make_shared<actor_gauge>();
  for (const std::string& actor : actors) spawn(actor);
  board_.on_client_unreachable([this](const std::string& client) {
    board_.notice("gateway", std::make_shared<troupe::node_lost>(client));
  });
  if (status read = keys_.read(settings_.link.security); !read) return read;
  result<std::unique_ptr<link::endpoint>> opened = link::endpoint::open(
      {settings_.name, state_.incarnation(), link::peer_role::node}, settings_.link, *this);
  if (!opened) return opened.failure();
  endpoint_ = std::move(*opened);
  board_.connect(endpoint_.get());
  shown_endpoint_ = endpoint_.get();
  tell_links_to_node_actor();
  if (status dialled = keys_.dial(*endpoint_); !dialled) return dialled;
  const auto until = steady_clock::now() + models_wait;
  while (!models_known_ && steady_clock::now() < until) {
    const wakeups::news news = wakeups_.wait(milliseconds(100));
    for (const std::string& actor : news.ended)
      if (!restart(actor))
        return error{error_code::internal, actor + " ends again and again", "see the log"};
    if (news.asked_to_stop || news.asked_to_drain) {
      ::raise(SIGTERM);  // for run() to see
      break;
    }
  }
  return open_http();
}

status node_daemon::open_http() {
  if (settings_.http.listen.empty()) return {};
  http::http_settings wish = settings_.http;
  wish.version = std::string(version());
  http::http_outside outside;
  outside.office = &board_;
  outside.audit = audit_.get();
  outside.session_gone = [this](const std::string& session) {
    board_.notice("gateway", std::make_shared<troupe::node_lost>(session));
  };
  result<std::unique_ptr<http::server>> opened =
      http::server::start(std::move(wish), std::move(outside));
  if (!opened) return opened.failure();
  http_ = std::move(*opened);
  board_.host_sessions(std::string(http::session_prefix),
                       [this](envelope_ptr message) { http_->deliver(std::move(message)); });
  http_->begin_jobs();  // before the gateway tells, unasked, what it has of them
  board_.notice("gateway", std::make_shared<sessions_open>(std::string(http::job_session_prefix)));
  http_lane_.emplace(*system_, [this] { http_->run_soon([this] { http_lane_->run(); }); });
  board_.lend_lane(&*http_lane_);
  return {};
}

void node_daemon::stop_http() {
  if (!http_) return;
  http_->stop();
  board_.lend_lane(nullptr);
  http_lane_->close();
}

bool node_daemon::restart(const std::string& actor) {
  if (!budget_.allow(actor, now_us())) {
    spdlog::critical("node_gives_up actor={} restarts_max={} window_ms={}", actor,
                     settings_.restarts_max, settings_.restart_window.count());
    return false;
  }
  spdlog::warn("actor_restarted actor={}", actor);
  ++gauges_.at(actor)->restarts;
  spawn(actor);
  if (actor == "node") {
    tell_links_to_node_actor();
    tell_gone_peers();
  }
  auto news = std::make_shared<actor_restarted>(actor);
  board_.notice("node", news);
  if (actor == "inference") board_.notice("model_loader", news);
  if (actor == "gateway" && http_) http_->gateway_restarted();
  return true;
}

int node_daemon::run() {
  spdlog::info("node_serves address={} incarnation={} profile={} version={}", address(),
               state_.incarnation(), settings_.profile, version());
  for (;;) {
    const wakeups::news news = wakeups_.wait(keys_.look_every());
    keys_.follow(*endpoint_);
    if (endpoint_->shut()) {
      spdlog::critical("node_gives_up why=the link lost its gatekeeper");
      audit_->write({"daemon", "stop", "failed", {{"reason", "the link lost its gatekeeper"}}});
      stop_roles();
      return exit_broken;
    }
    if (news.asked_to_stop) {
      audit_->write({"signal", "stop", "done"});
      return stop(settings_.stop_wait);
    }
    if (news.asked_to_drain) {
      audit_->write({"daemon", "stop", "done", {{"reason", "drained"}}});
      return stop(*news.asked_to_drain);
    }
    for (const std::string& actor : news.ended)
      if (!restart(actor)) {
        audit_->write({"daemon", "stop", "failed", {{"reason", actor + " ends again and again"}}});
        stop_roles();
        return exit_broken;
      }
  }
}

int node_daemon::stop(milliseconds wait_max) {
  spdlog::info("node_stops running_jobs={}", gateway_shown_->running.load());
  if (http_) http_->drain();
  board_.notice("node", std::make_shared<node_draining>());
  board_.notice("gateway", std::make_shared<stop_accepting>(false));
  const auto until = steady_clock::now() + wait_max;
  while ((gateway_shown_->busy() || load_->running > 0 || load_->waiting > 0) &&
         steady_clock::now() < until)
    if (wakeups_.wait(milliseconds(20)).asked_to_stop) break;
  board_.notice("gateway", std::make_shared<stop_accepting>(true));
  const auto farewell_until = steady_clock::now() + milliseconds(1'000);
  while (gateway_shown_->busy() && steady_clock::now() < farewell_until)
    wakeups_.wait(milliseconds(10));
  stop_http();
  if (!stop_roles()) {
    spdlog::critical("stop_hung wait_ms={}", roles_end_wait.count());
    std::_Exit(exit_broken);
  }
  close();
  spdlog::info("node_stopped");
  spdlog::default_logger()->flush();
  return exit_code_;
}

bool node_daemon::stop_roles() {
  desk_->close();  // for whom the inference actor may wait
  for (const auto& [actor, handle] : roles_) handle.stop();
  const auto until = steady_clock::now() + roles_end_wait;
  const auto alive = [this] {
    for (const auto& [actor, gauge] : gauges_)
      if (gauge->alive) return true;
    return false;
  };
  while (alive() && steady_clock::now() < until) wakeups_.wait(milliseconds(10));
  return !alive();
}

void node_daemon::close() {
  if (!system_) return;
  stop_http();
  if (!stop_roles()) std::_Exit(exit_broken);
  shown_endpoint_ = nullptr;
  board_.connect(nullptr);
  endpoint_.reset();
  for (const auto& [actor, handle] : roles_) board_.attach(actor, {});
  roles_.clear();
  board_.host_sessions({}, {});
  http_.reset();
  system_.reset();
}

std::string_view version() {
  return TROUPE_VERSION;
}

result<std::unique_ptr<daemon>> daemon::start(const settings& from) {
  result<state_directory> state = state_directory::open(from.text("node.state_dir"));
  if (!state) return state.failure();
  const std::uint64_t incarnation = state->incarnation();
  node_settings mine = settings_of_node(from, incarnation);
  auto lines = std::make_shared<log_ring>(mine.name, incarnation);
  if (status log = open_log(mine.log_file, mine.log_level, mine.name, lines); !log)
    return log.failure();
  auto woken = std::make_unique<wakeups>();  // before any thread that a signal could end
  auto writer = std::make_unique<audit::audit_writer>(
      audit::writer_settings{{mine.state_directory, mine.name}});
  audit::log& audit = *writer;  // of the node, which ends with this call where it does not begin
  audit::event start{"daemon",
                     "start",
                     "done",
                     {{"configuration", audit::configuration_digest(from)},
                      {"version", std::string(version())},
                      {"incarnation", std::to_string(incarnation)}}};
  try {
    auto node = std::make_unique<node_daemon>(std::move(woken), std::move(mine), std::move(*state),
                                              std::move(writer), std::move(lines));
    status begun = node->begin();
    if (!begun) {
      start.outcome = "failed";
      start.about.emplace_back("reason", begun.failure().message);
    }
    audit.write(start);
    if (!begun) return begun.failure();
    return std::unique_ptr<daemon>(std::move(node));
  } catch (const std::exception& failed) {
    return error{error_code::internal, std::string("the node could not start: ") + failed.what(),
                 "see the log"};
  }
}

}  // namespace troupe::cluster
