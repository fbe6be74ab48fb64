#include "cluster/node/daemon.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "cluster/audit/audit_writer.hpp"
#include "cluster/audit/configuration_digest.hpp"
#include "cluster/gateway/gateway_role.hpp"
#include "cluster/http/job_book.hpp"
#include "cluster/link/link_faults.hpp"
#include "cluster/node/engine_readings.hpp"
#include "cluster/node/gpu_readings.hpp"
#include "cluster/node/log_sinks.hpp"
#include "cluster/node/machine_readings.hpp"
#include "cluster/node/peer_keys.hpp"
#include "cluster/node/state_directory.hpp"
#include "cluster/node/supervisor.hpp"
#include "cluster/node/switchboard.hpp"
#include "cluster/node/wakeups.hpp"
#include "cluster/profile/profiler.hpp"

namespace troupe::cluster {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds models_wait{
    10'000};  // for the first list of models, before the node says that it serves
constexpr milliseconds roles_end_wait{10'000};
constexpr std::size_t gone_max = 256;

time_point_us now_us() {
  return std::chrono::duration_cast<time_point_us>(steady_clock::now().time_since_epoch());
}

struct system_config : caf::actor_system_config {
  explicit system_config(std::size_t workers) {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", workers);
  }
};

class node_daemon final : public daemon, private link::link_events {
 public:
  node_daemon(std::unique_ptr<wakeups> woken, node_settings settings, state_directory state,
              std::unique_ptr<audit::log> audit, std::shared_ptr<log_ring> lines)
      : lines_(std::move(lines)),
        woken_(std::move(woken)),
        settings_(std::move(settings)),
        state_(std::move(state)),
        audit_(std::move(audit)),
        board_(settings_.name),
        budget_(settings_.restarts_max, settings_.restart_window),
        config_(settings_.workers),
        keys_(settings_) {}

  ~node_daemon() override { close(); }

  status begin();
  std::string name() const override { return settings_.name; }
  std::string address() const override { return endpoint_->address(); }
  std::string http_address() const override { return http_ ? http_->address() : std::string(); }
  int run() override;

 private:
  // Link events, on its I/O thread.
  void on_envelope(const link::peer_view& from, envelope_ptr message) override {
    board_.arrive(from, std::span<envelope_ptr>(&message, 1), &*lane_);
  }
  void on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) override {
    if (from.who.role == link::peer_role::node) heard_->note(from.who.name, now_us());
    board_.arrive(from, messages, &*lane_);
  }
  void on_peer_up(const link::peer_view& peer) override;
  void on_peer_down(const link::peer_view& peer, std::string reason,
                    std::vector<envelope_ptr> undelivered) override;

  void spawn(const std::string& actor);
  role_handle make(const std::string& actor);
  chaos_hands hands();
  monitoring_sources sources();
  void tell_links_to_node_actor();
  void tell_gone_peers();
  status open_http();
  void stop_http();
  bool restart(const std::string& actor);
  int stop(milliseconds wait_max);
  bool stop_roles();
  void close();

  // Declared in the order of their life: the link's I/O thread ends first, the actor system last
  // but the switchboard.
  std::shared_ptr<log_ring> lines_;
  std::unique_ptr<wakeups> woken_;
  wakeups& wakeups_ = *woken_;
  node_settings settings_;
  state_directory state_;
  std::unique_ptr<audit::log> audit_;
  switchboard board_;
  restart_budget budget_;
  system_config config_;
  std::optional<caf::actor_system> system_;
  std::optional<inline_lane> lane_;     // of the link's I/O thread
  std::optional<loop_lane> http_lane_;  // of the HTTP door's
  std::map<std::string, std::shared_ptr<actor_gauge>> gauges_;
  std::map<std::string, role_handle> roles_;
  std::shared_ptr<inference_load> load_ = std::make_shared<inference_load>();
  std::shared_ptr<gateway_gauge> gateway_shown_ = std::make_shared<gateway_gauge>();
  std::shared_ptr<last_heard> heard_ = std::make_shared<last_heard>();
  std::mutex peers_guard_;
  std::map<std::string, std::shared_ptr<peer_came>> peers_;
  std::set<std::string> gone_;  // peers whose session ended, and that have not come again
  std::atomic<link::endpoint*> shown_endpoint_{nullptr};
  std::atomic<bool> models_known_{false};
  std::atomic<int> exit_code_{exit_fine};  // of a stop in order
  steady_clock::time_point began_ = steady_clock::now();
  machine_meter meter_;  // these two: on monitoring's thread
  gpu_readings gpus_;
  peer_keys keys_;
  std::unique_ptr<link::endpoint> endpoint_;
  std::unique_ptr<http::server> http_;
};

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

monitoring_sources node_daemon::sources() {
  monitoring_sources out;
  for (const auto& [actor, gauge] : gauges_) out.actors.emplace_back(actor, gauge);
  out.log = lines_;
  out.own = gauges_.at("monitoring");
  out.node = [this](proto::NodeStatus& status) {
    status.set_node(settings_.name);
    status.set_incarnation(state_.incarnation());
    status.set_version(std::string(version()));
    status.set_uptime_ms(static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(steady_clock::now() - began_).count()));
    status.set_cores(std::thread::hardware_concurrency());
    read_memory(status);
    meter_.read(status, settings_.state_directory);
    gpus_.read(status);
    status.set_disk_bytes_free(disk_bytes_free(settings_.state_directory));
    proto::JobCounters& jobs = *status.mutable_jobs();
    jobs.set_accepted(gateway_shown_->accepted);
    jobs.set_refused(gateway_shown_->refused);
    jobs.set_running(gateway_shown_->running);
    jobs.set_frames_fenced(gateway_shown_->frames_fenced + load_->frames_fenced);
    jobs.set_answer_tokens_taken(gateway_shown_->answer_tokens);
    link::endpoint* endpoint = shown_endpoint_;
    if (!endpoint) return;
    status.set_address(endpoint->address());
    for (proto::LinkStatus& peer : endpoint->links()) *status.add_links() = std::move(peer);
  };
  out.engines = [load = load_](proto::NodeMetrics& metrics) { read_engines(*load, metrics); };
  out.profile = [profiler = std::make_shared<profile::profiler>(settings_.name)](auto&&... asked) {
    return profiler->begin(std::forward<decltype(asked)>(asked)...);
  };
  return out;
}

role_handle node_daemon::make(const std::string& actor) {
  const std::shared_ptr<actor_gauge>& gauge = gauges_.at(actor);
  if (actor == "monitoring") {
    monitoring_settings mine = settings_.monitoring;
    mine.version = version();
    return spawn_monitoring(*system_, mine, board_, gauge, sources());
  }
  if (actor == "cache_tier") return spawn_cache_tier(*system_, settings_.cache, board_, gauge);
  if (actor == "inference")
    return spawn_inference(*system_, settings_.inference, board_, gauge, load_);
  if (actor == "model_loader")
    return spawn_model_loader(*system_, settings_.loader, board_, gauge, load_);
  if (actor == "gateway") {  // a higher epoch at each start, also within one process
    gateway_settings mine = settings_.gateway;
    mine.epoch = (state_.incarnation() << 16) + gauge->restarts;
    return spawn_gateway(*system_, mine, settings_.journal, board_, gauge, gateway_shown_);
  }
  node_role_outside outside;
  outside.board = &board_;
  outside.load = load_;
  outside.models_known = [this] {
    models_known_ = true;
    wakeups_.kick();
  };
  outside.drain = [this](milliseconds wait_max) { wakeups_.ask_to_drain(wait_max); };
  outside.audit = audit_.get();
  outside.audited_by_door = http::session_prefix;
  outside.heard = heard_;
  outside.dial = [this](const std::string& address) -> status {
    link::endpoint* endpoint = shown_endpoint_;
    return endpoint ? endpoint->connect(address) : status();
  };
  outside.hang_up = [this](const std::string& address) {
    if (link::endpoint* endpoint = shown_endpoint_) endpoint->disconnect(address);
  };
  outside.disk_bytes_free = [this] { return disk_bytes_free(settings_.state_directory); };
  if (settings_.node.chaos.enabled) outside.chaos = hands();
  node_role_settings mine = settings_.node;
  mine.membership.restarts = gauge->restarts;
  return spawn_node_role(*system_, mine, std::move(outside), gauge);
}

chaos_hands node_daemon::hands() {
  chaos_hands out;
  out.link = settings_.link.faults;
  out.crash = [] {
    spdlog::default_logger()->flush();
    std::_Exit(exit_chaos);
  };
  out.restart = [this](milliseconds wait_max) {
    exit_code_ = exit_chaos;
    wakeups_.ask_to_drain(wait_max);
  };
  out.told = [this](const chaos_record& record) {
    audit_->write({"link:" + record.asked_by,
                   "chaos",
                   record.what == "refused" ? "refused" : "done",
                   {{"step", record.what},
                    {"fault", record.fault},
                    {"lasts_ms", std::to_string(record.lasts.count())},
                    {"reason", record.reason}}});
  };
  return out;
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
    for (const char* actor : {"gateway", "inference", "model_loader"})
      board_.notice(actor, std::make_shared<troupe::node_lost>(name));
}

status node_daemon::begin() {
  std::vector<std::string> actors = {"monitoring", "cache_tier"};
  if (settings_.computes) actors.push_back("inference");
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

}  // namespace

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
