// What each of the node's actors is made of, and what it may reach of the node.
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <thread>

#include "cluster/http/job_book.hpp"
#include "cluster/link/link_faults.hpp"
#include "cluster/node/engine_readings.hpp"
#include "cluster/node/node_daemon.hpp"
#include "cluster/profile/profiler.hpp"

namespace troupe::cluster {
namespace {

using std::chrono::steady_clock;

}  // namespace

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
    for (proto::StageShown& stage : stages_->shown()) *status.add_stages() = std::move(stage);
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
    return spawn_inference(*system_, settings_.inference, board_, gauge, load_, desk_);
  if (actor == "stages") return spawn_stages(*system_, settings_.stages, board_, gauge, stages_);
  if (actor == "stage_desk") return spawn_stage_desk(*system_, desk_, gauge);
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
  outside.too_warm = [this] { return gpus_.too_warm(); };
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

}  // namespace troupe::cluster
