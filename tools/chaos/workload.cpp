#include "tools/chaos/workload.hpp"

#include <array>

namespace troupe::chaos {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds token_wait{60'000};  // longer is a loss
constexpr milliseconds connect_wait{2'000};
constexpr milliseconds again_after{100};

constexpr std::array<std::string_view, 8> openings = {
    "Once upon a time there was a small", "Tell me what happens when",
    "The two machines looked at",         "Question: How much is 12 + 30?\nAnswer:",
    "In the middle of the night the",     "A story about",
    "Nobody had expected that",           "When the cable was pulled,"};

}  // namespace

client::job job_for(const workload_plan& plan, const std::string& model, std::uint32_t prompt) {
  client::job job;
  job.model = model;
  job.prompt = std::string(openings[prompt % openings.size()]) + " " + std::to_string(prompt);
  job.tokens_max = plan.tokens_max;
  job.sampling.temperature = plan.temperature;
  job.sampling.seed = 1000 + prompt;
  job.ignore_end = true;
  job.cache_bypass = !plan.cache;
  return job;
}

workload::workload(const workload_plan& plan, std::string model, std::vector<std::string> gateways)
    : plan_(plan),
      model_(std::move(model)),
      gateways_(std::move(gateways)),
      held_(std::make_unique<std::atomic<bool>[]>(plan.streams)) {}

workload::~workload() {
  stop(milliseconds(0));
}

void workload::hold(const std::string& client, bool reads_nothing) {
  for (std::uint32_t i = 0; i < plan_.streams; ++i)
    if (client == client_name(i)) held_[i] = reads_nothing;
}

microseconds workload::now() const {
  return std::chrono::duration_cast<microseconds>(steady_clock::now() - began_);
}

void workload::begin(steady_clock::time_point run_began) {
  began_ = run_began;
  for (std::uint32_t i = 0; i < plan_.streams; ++i) clients_.emplace_back([this, i] { work(i); });
}

std::vector<job_story> workload::stop(milliseconds calm) {
  if (calm.count() > 0) calm_until_ = steady_clock::now() + calm;
  stopping_ = true;
  for (std::thread& client : clients_) client.join();
  clients_.clear();
  const std::lock_guard lock(guard_);
  return std::move(stories_);
}

// All gateways, the client's own first: the library goes on at another when one dies.
std::string workload::addresses_for(std::uint32_t stream) const {
  std::string out;
  for (std::size_t i = 0; i < gateways_.size(); ++i)
    out += (i == 0 ? "" : ",") + gateways_[(stream + i) % gateways_.size()];
  return out;
}

void workload::work(std::uint32_t stream) {
  const std::string addresses = addresses_for(stream);
  std::unique_ptr<client::cluster> cluster;
  for (std::uint32_t round = 0;; ++round) {
    const bool stopping = stopping_;
    if (stopping && steady_clock::now() >= calm_until_.load()) return;
    if (!cluster) {
      auto connected = client::cluster::connect(addresses, {connect_wait});
      if (connected) cluster = std::move(*connected);
    }
    if (!cluster) {
      std::this_thread::sleep_for(again_after);
      continue;
    }
    job_story story;
    story.stream = stream;
    story.prompt = (stream + round * plan_.streams) % plan_.prompts;
    story.submitted = now();
    one_job(*cluster, story);
    story.ended = now();
    const bool went_well = story.whole;
    {
      const std::lock_guard lock(guard_);
      stories_.push_back(std::move(story));
    }
    if (stopping && went_well) return;
    if (!went_well) std::this_thread::sleep_for(again_after);
  }
}

void workload::one_job(client::cluster& cluster, job_story& story) {
  auto stream = cluster.submit(job_for(plan_, model_, story.prompt));
  if (!stream) {
    story.failure = stream.failure();
    return;
  }
  story.accepted = true;
  story.accepted_at = now();
  for (;;) {
    while (held_[story.stream] && !stopping_) std::this_thread::sleep_for(milliseconds(5));
    auto next = (*stream)->next(token_wait);
    if (!next) {
      story.failure = next.failure();
      break;
    }
    if (!*next) break;
    story.tokens.push_back({(*next)->index, (*next)->id, now()});
    story.text += (*next)->text;
    if (story.stream == 0 && plan_.reader_pause.count() > 0)
      std::this_thread::sleep_for(plan_.reader_pause);
  }
  const client::report& report = (*stream)->summary();
  story.id = report.job_id;
  story.worker = report.worker_node;
  story.gateway = report.gateway_node;
  story.attempts = report.attempts;
  story.resumed = report.resumed;
  story.text += report.text_tail;
  if (!story.failure) story.failure = report.failure;
  story.whole = !story.failure && (report.reason == client::finish_reason::length ||
                                   report.reason == client::finish_reason::end_of_text ||
                                   report.reason == client::finish_reason::stop_text);
}

}  // namespace troupe::chaos
