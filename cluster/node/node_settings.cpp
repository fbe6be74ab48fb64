#include "cluster/node/node_settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "config/objective.hpp"
#include "config/written_split.hpp"
#include "kernels/gpu_sensors.hpp"

namespace troupe::cluster {
namespace {

template <class Integer>
Integer bounded(std::int64_t value) {
  return static_cast<Integer>(
      std::clamp<std::int64_t>(value, 0, std::numeric_limits<Integer>::max()));
}

std::uint64_t machine_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)
             : 0;
}

// Of the GPUs that one model may have: of so many of the largest.
std::uint64_t gpu_bytes(std::size_t count) {
  std::vector<std::uint64_t> sizes;
  for (const kernels::gpu_reading& one : kernels::gpu_sensors().all())
    sizes.push_back(one.memory_bytes);
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  sizes.resize(std::min(count, sizes.size()));
  return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
}

// For models, where it is not written: of the processor.
std::uint64_t usual_model_bytes() {
  return machine_bytes() / 4 * 3;
}

std::uint64_t random_salt() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

link::link_settings link_part(const settings& from) {
  link::link_settings out;
  out.listen = from.text("link.listen");
  out.queued_bytes_max = from.bytes("link.queued_bytes_max");
  out.coalesced_bytes_max = static_cast<std::uint32_t>(from.bytes("link.coalesced_bytes_max"));
  out.chunk_bytes = static_cast<std::uint32_t>(from.bytes("link.chunk_bytes"));
  out.compress_bytes_min = static_cast<std::uint32_t>(from.bytes("link.compress_bytes_min"));
  out.silence_max = from.duration("link.silence_max");
  return out;
}

gateway_settings gateway_part(const settings& from) {
  gateway_settings out;
  out.seed_salt = random_salt();
  out.bounds.prompt_bytes_max = from.bytes("gateway.prompt_bytes_max");
  out.bounds.tokens_max = bounded<std::uint32_t>(from.integer("gateway.tokens_max"));
  out.jobs_max = bounded<std::uint32_t>(from.integer("gateway.jobs_max"));
  out.tenant_jobs_max = bounded<std::uint32_t>(from.integer("gateway.tenant_jobs_max"));
  out.finished_jobs_kept = bounded<std::uint32_t>(from.integer("gateway.finished_jobs_kept"));
  out.finished_kept_for = from.duration("gateway.finished_kept_for");
  out.detach_grace = from.duration("gateway.detach_grace");
  out.journal = from.flag("gateway.journal");
  out.default_credit = bounded<std::uint32_t>(from.integer("gateway.default_credit"));
  out.attempts_max = bounded<std::uint32_t>(from.integer("gateway.attempts_max"));
  out.retry_min = from.duration("gateway.retry_min");
  out.retry_max = std::max(out.retry_min, from.duration("gateway.retry_max"));
  out.retry_jitter = bounded<std::uint32_t>(from.integer("gateway.retry_jitter"));
  out.retry_seed = random_salt();
  out.breaker_failures = bounded<std::uint32_t>(from.integer("gateway.breaker_failures"));
  out.breaker_open_min = from.duration("gateway.breaker_open_min");
  out.breaker_open_max = std::max(out.breaker_open_min, from.duration("gateway.breaker_open_max"));
  out.credit_repeat = from.duration("gateway.credit_repeat");
  out.job_deadline = from.duration("gateway.job_deadline");
  out.look_up_wait = std::max(milliseconds(100), 4 * from.duration("cache.redis_deadline"));
  return out;
}

kernels::kv_type kv_type_of(const settings& from) {
  return from.text("inference.kv_type") == "q8_0" ? kernels::kv_type::q8_0 : kernels::kv_type::f16;
}

loader_settings loader_part(const settings& from, const std::filesystem::path& state) {
  loader_settings out;
  for (const std::string& folder : from.list("models.directories"))
    out.directories.emplace_back(folder);
  out.load_at_start = from.list("models.preload");
  for (const std::string& text : from.list("models.split"))
    if (const auto wish = read_split(text)) {
      model_split& split = out.splits.emplace_back();
      split.model = wish->model;
      for (const written_split::part& part : wish->parts)
        split.parts.push_back({part.node, part.layers});
    }
  out.fetch = from.flag("models.fetch");
  out.fetch_directory = state / "models";
  out.state_file = state / "models.state";
  const std::uint64_t memory = from.bytes("models.memory_max");
  out.gpu_computes = from.text("inference.engine") != "cpu";
  out.memory_bytes_max = memory > 0 ? memory : usual_model_bytes();
  if (memory == 0 && out.gpu_computes) {
    const std::uint64_t gpus =
        gpu_bytes(std::max<std::size_t>(1, from.integers("gpu.devices").size()));
    out.memory_bytes_max = from.flag("gpu.partial") ? out.memory_bytes_max + gpus
                                                    : std::max(out.memory_bytes_max, gpus);
  }
  out.kv_bytes = from.bytes("inference.kv_bytes");
  out.kv = kv_type_of(from);
  return out;
}

inference_settings inference_part(const settings& from) {
  inference_settings out;
  out.threads = bounded<int>(from.integer("inference.threads"));
  for (const std::int64_t core : from.integers("inference.affinity"))
    out.affinity.push_back(static_cast<int>(core));
  out.variant = from.text("inference.variant");
  const std::string& engine = from.text("inference.engine");
  out.engine = engine == "cuda"   ? engine_choice::cuda
               : engine == "auto" ? engine_choice::any
                                  : engine_choice::cpu;
  const std::uint64_t memory = from.bytes("models.memory_max");
  if (out.engine != engine_choice::cpu)
    out.processor_bytes_max = memory > 0 ? memory : usual_model_bytes();
  out.gpu_partial = from.flag("gpu.partial");
  out.cuda.device = static_cast<int>(from.integer("gpu.device"));
  for (const std::int64_t index : from.integers("gpu.devices"))
    out.cuda.devices.push_back(static_cast<int>(index));
  out.cuda.spread = from.text("gpu.spread") == "tensors" ? kernels::gpu_spread::tensors
                                                         : kernels::gpu_spread::layers;
  if (out.cuda.devices.size() == 1) out.cuda.device = out.cuda.devices.front();
  out.cuda.numerics = from.text("gpu.numerics") == "tensor" ? kernels::gpu_numerics::tensor
                                                            : kernels::gpu_numerics::exact;
  out.cuda.step_deadline = from.duration("gpu.step_deadline");
  out.cuda.graphs_max = bounded<std::uint32_t>(from.integer("gpu.graphs"));
  out.cuda.memory = {.pool_small_bytes = from.bytes("gpu.pool_small_bytes"),
                     .pool_medium_bytes = from.bytes("gpu.pool_medium_bytes"),
                     .pool_large_bytes = from.bytes("gpu.pool_large_bytes"),
                     .reserve_bytes = from.bytes("gpu.reserve_bytes"),
                     .model_bytes_max = from.bytes("gpu.model_bytes_max")};
  out.stage_step_wait = from.duration("stages.step_wait");
  out.kv = kv_type_of(from);
  out.kv_host_bytes = from.bytes("inference.kv_host_bytes");
  out.batch_tokens_max = bounded<std::uint32_t>(from.integer("inference.batch_tokens_max"));
  out.batching = from.flag("inference.batching");
  out.batch_sequences_max = bounded<std::uint32_t>(from.integer("inference.batch_max"));
  out.batch_wait = from.duration("inference.batch_wait");
  out.prefill_chunk_max = bounded<std::uint32_t>(from.integer("inference.prefill_chunk"));
  out.ageing = from.duration("inference.ageing");
  out.sequences_running_max = bounded<std::uint32_t>(from.integer("inference.sequences_max"));
  out.sequences_waiting_max = bounded<std::uint32_t>(from.integer("inference.queue_max"));
  return out;
}

stages_settings stages_part(const settings& from) {
  stages_settings out;
  const std::uint64_t memory = from.bytes("stages.memory_max");
  out.memory_bytes_max = memory > 0 ? memory : machine_bytes() / 4;
  out.threads = bounded<int>(from.integer("inference.threads"));
  for (const std::int64_t core : from.integers("inference.affinity"))
    out.affinity.push_back(static_cast<int>(core));
  out.variant = from.text("inference.variant");
  return out;
}

cache_settings cache_part(const settings& from) {
  using std::chrono::duration_cast, std::chrono::seconds;
  cache_settings out;
  out.local_bytes_max = from.bytes("cache.local_bytes_max");
  out.local_enabled = out.local_bytes_max > 0;
  out.local_ttl = duration_cast<seconds>(from.duration("cache.local_ttl"));
  out.redis_address = from.text("cache.redis");
  out.redis_call_wait = from.duration("cache.redis_deadline");
  out.redis_ttl = duration_cast<seconds>(from.duration("cache.redis_ttl"));
  out.retry_min = from.duration("cache.redis_retry");
  out.retry_max = std::max(out.retry_max, out.retry_min);
  out.value_bytes_max = from.bytes("cache.value_bytes_max");
  return out;
}

http::http_settings http_part(const settings& from) {
  http::http_settings out;
  out.listen = from.text("http.listen");
  out.threads = bounded<std::uint32_t>(from.integer("http.threads"));
  out.api_key_file = from.text("http.api_key_file");
  out.tls_certificate = from.text("http.tls_certificate");
  out.tls_key = from.text("http.tls_key");
  out.connections_max = bounded<std::uint32_t>(from.integer("http.connections_max"));
  out.requests_max = bounded<std::uint32_t>(from.integer("http.requests_max"));
  out.requests_per_client_max =
      bounded<std::uint32_t>(from.integer("http.requests_per_client_max"));
  out.body_bytes_max = from.bytes("http.body_bytes_max");
  out.request_wait = from.duration("http.request_wait");
  out.idle_wait = from.duration("http.idle_wait");
  out.write_wait = from.duration("http.write_wait");
  out.head_wait = from.duration("http.head_wait");
  out.credit_repeat = from.duration("gateway.credit_repeat");
  out.jobs_kept = bounded<std::uint32_t>(from.integer("http.jobs_kept"));
  out.jobs_running_max = bounded<std::uint32_t>(from.integer("http.jobs_running_max"));
  out.tokens_max = bounded<std::uint32_t>(from.integer("gateway.tokens_max"));
  out.answer_wait = from.duration("gateway.job_deadline") + milliseconds(10'000);
  return out;
}

monitoring_settings monitoring_part(const settings& from) {
  monitoring_settings out;
  out.enabled = from.flag("monitoring.enabled");
  out.busy_window = from.duration("monitoring.window");
  out.slow_job = out.traces.slow = from.duration("monitoring.slow_job");
  out.traces.collector = from.text("monitoring.traces");
  out.traces.ratio = from.number("monitoring.traces_ratio");
  out.alerts.expects_gpu = from.text("inference.engine") == "cuda";
  out.alerts.webhook = from.text("monitoring.webhook");
  out.alerts.alertmanager = from.text("monitoring.alertmanager");
  out.alerts.first_token_max = from.duration("monitoring.first_token_max");
  out.alerts.error_rate_max = from.number("monitoring.error_rate_max");
  out.alerts.memory_share_max = from.number("monitoring.memory_share_max");
  out.alerts.tokens_per_second_min = from.number("monitoring.tokens_per_second_min");
  out.alerts.jobs_min = bounded<std::uint32_t>(from.integer("monitoring.jobs_min"));
  out.alerts.holds_for = from.duration("monitoring.alert_after");
  out.alerts.told_per_minute_max =
      bounded<std::uint32_t>(from.integer("monitoring.alerts_per_minute"));
  out.alerts.learns = from.flag("monitoring.learn");
  for (const std::string& text : from.list("monitoring.objectives"))
    if (const auto wish = read_objective(text))
      out.alerts.objectives.push_back({wish->model, milliseconds(wish->milliseconds), wish->share});
  return out;
}

}  // namespace

node_settings settings_of_node(const settings& from, std::uint64_t incarnation) {
  node_settings out;
  out.name = from.text("node.name");
  out.profile = from.text("node.profile");
  out.state_directory = from.text("node.state_dir");
  out.log_file = from.text("node.log_file");
  if (out.log_file.empty()) out.log_file = out.state_directory / "trouped.log";
  out.log_level = from.text("node.log_level");
  out.workers = bounded<std::uint32_t>(from.integer("node.workers"));
  out.restarts_max = bounded<std::uint32_t>(from.integer("node.restarts_max"));
  out.restart_window = from.duration("node.restart_window");
  out.stop_wait = from.duration("node.stop_wait");
  out.peers = from.list("membership.peers");
  out.encrypts = from.text("link.security") == "curve";
  out.keys = keys::place_of(from);
  out.advertise = from.text("link.advertise");
  out.computes = from.flag("inference.enabled");

  out.link = link_part(from);
  out.http = http_part(from);
  out.http.node = out.name;
  if (from.flag("gateway.journal")) out.http.jobs_folder = out.state_directory / "http-jobs";
  out.gateway = gateway_part(from);
  out.journal.folder = out.state_directory / "journal";
  out.journal.file_bytes_max = from.bytes("gateway.journal_file_max");
  out.gateway.node = out.name;
  out.gateway.settle_wait = milliseconds(2'000);  // dialling, greeting and the first beats
  out.gateway.epoch = incarnation;
  out.loader = loader_part(from, out.state_directory);
  out.loader.node = out.name;
  out.inference = inference_part(from);
  if (out.inference.engine != engine_choice::cpu)
    out.gpu_celsius_max = bounded<std::uint32_t>(from.integer("gpu.celsius_max"));
  out.inference.node = out.name;
  out.inference.incarnation = incarnation;
  out.stages = stages_part(from);
  out.stages.node = out.name;
  out.cache = cache_part(from);
  out.cache.node = out.name;
  out.monitoring = monitoring_part(from);
  out.monitoring.node = out.name;
  out.gateway.tells = out.monitoring.enabled;

  membership_settings& membership = out.node.membership;
  membership.self = out.name;
  membership.incarnation = incarnation;
  membership.heartbeat_interval = from.duration("membership.heartbeat_interval");
  membership.pause_max = from.duration("membership.pause_max");
  membership.down_after = from.duration("membership.down_after");
  membership.learns_peers = from.flag("membership.learn_peers");
  membership.peers = out.peers;
  const std::uint32_t places = out.inference.batching ? out.inference.sequences_running_max : 1;
  out.node.sequences_max = out.computes ? places : 0;
  out.node.stop_wait = out.stop_wait;
  out.node.preload = out.loader.load_at_start;
  out.node.fetch = from.flag("models.fetch");
  out.node.chaos = {out.name, from.flag("chaos.enabled"), from.flag("chaos.supervised")};
  return out;
}

}  // namespace troupe::cluster
