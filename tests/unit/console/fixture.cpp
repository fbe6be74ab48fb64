#include "fixture.hpp"

#include <cmath>

namespace console_test {

using namespace troupe;
using namespace troupe::console;

namespace {

proto::NodePart& add_node(proto::ClusterPicture& to, const std::string& name, double cpu,
                          double first_token) {
  proto::NodePart& node = *to.add_nodes();
  node.set_node(name);
  node.set_up(true);
  node.set_tokens_per_second(40);
  proto::NodeStatus& status = *node.mutable_status();
  status.set_node(name);
  status.set_address("tcp://10.0.0.1:7411");
  status.set_version("0.1.0");
  status.set_uptime_ms(7'300'000);
  status.set_cores(8);
  status.set_engine("cpu");
  status.set_variant("avx2");
  status.set_memory_bytes(32ull << 30);
  status.set_memory_bytes_used(20ull << 30);
  status.set_disk_bytes_free(400ull << 30);
  status.mutable_machine()->set_cpu_share(cpu);
  auto& first = *status.mutable_jobs()->mutable_first_token_seconds();
  first.set_count(120);
  first.set_p50(first_token);
  first.set_p95(first_token * 1.5);
  first.set_p99(first_token * 2);
  const char* actors[] = {"gateway", "inference", "monitoring", "local_cache"};
  for (int i = 0; i < 4; ++i) {
    proto::ActorStatus& actor = *status.add_actors();
    actor.set_name(actors[i]);
    actor.set_alive(true);
    actor.set_mailbox_depth(i == 1 && cpu > 0.9 ? 220 : 0);
    actor.set_messages(10'000 * (i + 1));
    actor.set_busy_share(i == 1 ? cpu : 0.02);
    actor.set_messages_per_second(12.5 * (i + 1));
    actor.set_handling_us(40);
  }
  proto::ModelDescription& model = *status.add_models();
  model.set_name("hermes-7b");
  model.set_digest("aa11");
  model.set_state(proto::READY);
  model.set_engine("cpu");
  model.set_quantization("q4_k");
  model.set_weight_bytes(4'100'000'000);
  model.set_kv_bytes(1'000'000'000);
  auto& tier = *status.mutable_cache()->add_tiers();
  tier.set_name("local");
  tier.set_enabled(true);
  tier.set_available(true);
  tier.set_entries(900);
  tier.set_bytes(48 << 20);
  tier.set_bytes_max(64 << 20);
  tier.set_hits(300);
  tier.set_misses(700);
  tier.set_stores(690);
  proto::EngineMetrics& engine = *node.add_engines();
  engine.set_model_digest("aa11");
  engine.set_running(2);
  engine.set_kv_blocks(100);
  engine.set_kv_blocks_used(45);
  engine.set_prefix_tokens_asked(1000);
  engine.set_prefix_tokens_hit(420);
  return node;
}

void add_link(proto::NodePart& from, const std::string& peer, std::uint64_t trip_us, double rate) {
  proto::LinkStatus& link = *from.mutable_status()->add_links();
  link.set_peer(peer);
  link.set_up(true);
  link.set_address("tcp://10.0.0.2:7411");
  link.set_round_trip_us(trip_us);
  link.set_bytes_sent_per_second(rate);
  link.set_bytes_received_per_second(rate / 3);
}

proto::JobShown& add_job(proto::NodePart& at, unsigned number, proto::JobState state,
                         const std::string& worker, std::uint64_t age_ms) {
  proto::JobShown& job = *at.add_jobs();
  job.set_job_id(job_id(number));
  job.set_model("hermes-7b");
  job.set_state(state);
  job.set_gateway(at.node());
  job.set_worker(worker);
  job.set_tenant("home");
  job.set_attempt(1);
  job.set_prompt_tokens(80);
  job.set_tokens_max(256);
  job.set_age_ms(age_ms);
  if (state == proto::JOB_RUNNING) {
    job.set_answer_tokens(40 + number);
    job.set_tokens_per_second(11.5);
    job.set_because("fewest jobs wait there");
  } else {
    job.set_because("its KV memory has no room for 336 tokens");
  }
  return job;
}

}  // namespace

std::string job_id(unsigned number) {
  std::string id("\x01\x98\xc6\xf2\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x00", 16);
  id[3] = static_cast<char>(0xf0 + number);
  id[15] = static_cast<char>(number);
  return id;
}

picture_ptr cluster() {
  auto out = std::make_shared<proto::ClusterPicture>();
  out->set_answered_by("pc1");
  out->set_at_us(noon);
  proto::NodePart& pc1 = add_node(*out, "pc1", 0.41, 0.31);
  add_link(pc1, "pc2", 420, 1.4e6);
  add_job(pc1, 1, proto::JOB_RUNNING, "pc1", 9'200);
  add_job(pc1, 2, proto::JOB_QUEUED, "pc2", 8'200);
  proto::NodePart& pc2 = add_node(*out, "pc2", 0.98, 2.1);
  pc2.mutable_engines(0)->set_waiting(14);
  pc2.mutable_engines(0)->set_running(4);
  add_link(pc2, "pc1", 415, 5.1e5);
  add_job(pc2, 3, proto::JOB_RUNNING, "pc2", 4'000).set_attempt(2);
  add_job(pc2, 4, proto::JOB_QUEUED, "pc2", 2'500);
  proto::DeviceStatus& gpu = *pc2.mutable_status()->add_devices();
  gpu.set_name("NVIDIA H100");
  gpu.set_memory_bytes(80ull << 30);
  gpu.set_memory_bytes_used(61ull << 30);
  gpu.set_busy_share(0.93);
  gpu.set_celsius(71);
  gpu.set_watts(412);
  gpu.set_clock_mhz(1755);
  proto::NodePart& pc3 = add_node(*out, "pc3", 0.1, 0.3);
  pc3.set_up(false);
  pc3.set_age_ms(34'000);
  proto::Alert& down = *pc1.add_alerts();
  down.set_name("node_down");
  down.set_severity(proto::SEVERITY_CRITICAL);
  down.set_node("pc1");
  down.set_subject("pc3");
  down.set_text("pc3 has not been heard of for 34 s; look whether its machine and its trouped run");
  down.set_since_us(noon - 32 * second);
  proto::Alert& ended = *pc2.add_alerts();
  ended.set_name("memory_high");
  ended.set_severity(proto::SEVERITY_WARNING);
  ended.set_node("pc2");
  ended.set_subject("pc2");
  ended.set_text("memory of pc2 was 96 % full");
  ended.set_since_us(noon - 400 * second);
  ended.set_ended_us(noon - 300 * second);
  proto::ClusterTotals& totals = *out->mutable_totals();
  totals.set_nodes(3);
  totals.set_nodes_up(2);
  totals.set_jobs_running(4);
  totals.set_tokens_per_second(80);
  for (auto* of : {totals.mutable_first_token_seconds(), totals.mutable_inter_token_seconds()})
    of->set_count(240);
  totals.mutable_first_token_seconds()->set_p50(0.42);
  totals.mutable_first_token_seconds()->set_p95(2.6);
  totals.mutable_first_token_seconds()->set_p99(4.2);
  totals.mutable_inter_token_seconds()->set_p50(0.08);
  totals.mutable_inter_token_seconds()->set_p95(0.11);
  totals.mutable_inter_token_seconds()->set_p99(0.19);
  return out;
}

history_ptr history() {
  auto out = std::make_shared<proto::ClusterHistory>();
  for (const char* name : {"pc1", "pc2"}) {
    proto::NodeHistory& node = *out->add_nodes();
    node.set_node(name);
    node.set_step_ms(2000);
    node.set_end_us(noon);
    for (const auto& [series, unit, most] : {std::tuple{"tokens_per_second", "tokens/s", 60.0},
                                             {"cpu_share", "1", 0.9},
                                             {"memory_share", "1", 0.7},
                                             {"jobs_running", "jobs", 6.0},
                                             {"first_token_p50_seconds", "s", 0.4}}) {
      proto::Series& one = *node.add_series();
      one.set_name(series);
      one.set_unit(unit);
      for (int i = 0; i < 450; ++i)
        one.add_values(
            static_cast<float>(most * (0.55 + 0.45 * std::sin(i / 9.0 + (name[2] - '0')))));
    }
  }
  return out;
}

std::vector<proto::LogLine> log() {
  std::vector<proto::LogLine> out;
  const auto add = [&](const char* node, std::uint64_t before_s, proto::LogLevel level,
                       const char* actor, const char* text) {
    proto::LogLine& line = out.emplace_back();
    line.set_node(node);
    line.set_sequence(out.size());
    line.set_at_us(noon - before_s * second);
    line.set_level(level);
    line.set_actor(actor);
    line.set_text(text);
  };
  add("pc1", 90, proto::LEVEL_INFO, "gateway",
      "job 0198c6f1 accepted model=hermes-7b prompt_tokens=80");
  add("pc1", 34, proto::LEVEL_WARN, "membership", "node_lost peer=pc3 silent_ms=1500");
  add("pc2", 20, proto::LEVEL_INFO, "inference", "batch sequences=4 waiting=14");
  add("pc2", 3, proto::LEVEL_ERROR, "gateway", "job 0198c6f3 lost its worker pc3, goes on at pc2");
  return out;
}

proto::JobStory story() {
  proto::JobStory out;
  *out.mutable_job() = cluster()->nodes(1).jobs(0);
  out.mutable_job()->set_because("its worker pc3 was lost; pc2 has the model");
  const auto add = [&](std::uint64_t id, std::uint64_t parent, const char* name, const char* node,
                       std::uint64_t start_ms, std::uint64_t length_ms) -> proto::Span& {
    proto::Span& span = *out.add_spans();
    span.set_id(id);
    span.set_parent(parent);
    span.set_name(name);
    span.set_node(node);
    span.set_start_us(noon - 4 * second + start_ms * 1000);
    span.set_duration_us(length_ms * 1000);
    return span;
  };
  const auto say = [](proto::Span& span, const char* key, const char* value) {
    proto::SpanAttribute& one = *span.add_attributes();
    one.set_key(key);
    one.set_text(value);
  };
  add(1, 0, "request", "pc2", 0, 4000).set_lasts(true);
  out.mutable_spans(0)->add_events()->set_name("accepted");
  out.mutable_spans(0)->mutable_events(0)->set_at_us(noon - 4 * second + 3000);
  add(2, 1, "tokenise", "pc2", 0, 3);
  say(add(3, 1, "route", "pc2", 3, 1), "troupe.because",
      "pc3 had the prompt's first 64 tokens already");
  say(add(4, 1, "cache", "pc2", 4, 2), "troupe.cache", "miss");
  proto::Span& first = add(5, 1, "attempt", "pc3", 6, 900);
  first.set_error("the link to pc3 was lost");
  add(6, 5, "queue", "pc3", 6, 100);
  add(7, 5, "prefill", "pc3", 106, 200);
  add(8, 5, "decode", "pc3", 306, 600);
  say(add(9, 1, "recovery", "pc2", 906, 700), "troupe.because",
      "the link to pc3 was lost; pc2 has the model and the fewest jobs");
  add(10, 1, "attempt", "pc2", 906, 3094).set_lasts(true);
  add(11, 10, "queue", "pc2", 910, 500);
  add(12, 10, "decode", "pc2", 1600, 2400).set_lasts(true);
  return out;
}

std::vector<effect> send(console_state& state, decltype(event::what) what) {
  return step(state, {state.now_us == 0 ? noon : state.now_us, std::move(what)});
}

console_state watching(unsigned width, unsigned height) {
  console_state out;
  out.at = "10.0.0.1:7411";
  send(out, resized{width, height});
  send(out, history_heard{history()});
  send(out, log_heard{log()});
  send(out, picture_heard{cluster()});
  return out;
}

key_press letter(const std::string& text) {
  return {key::character, text};
}

void type(console_state& state, const std::string& letters) {
  for (const char one : letters) send(state, letter(std::string(1, one)));
}

std::string plain(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] != '\x1b') {
        text += line[i];
        continue;
      }
      while (i < line.size() && !std::isalpha(static_cast<unsigned char>(line[i]))) ++i;
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out += text + "\n";
  }
  return out;
}

}  // namespace console_test
