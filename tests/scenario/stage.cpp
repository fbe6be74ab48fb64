#include "tests/scenario/stage.hpp"

namespace troupe::scenario {

using std::chrono::milliseconds;

void stage::start() {
  plan_.cores.gateway.journal = journal;
  plan_.cores.gateway.detach_grace = milliseconds(journal ? 30'000 : 0);
  plan_.cores.gateway.progress_wait = milliseconds(20'000);
  plan_.cores.membership.heartbeat_interval = milliseconds(250);
  plan_.cores.membership.pause_max = milliseconds(600);
  plan_.cores.membership.down_after = milliseconds(1'500);
  plan_.link.silence_max = milliseconds(3'000);
  const std::string digest = fakes::digest_of('a');
  int port = 7000;
  for (const std::string& name : node_names) {
    sim::node_plan& one = at_[name];
    one.name = name;
    one.address = address_base + std::to_string(port++);
    one.computes = !without_device.contains(name);
    one.uses_redis = redis;
    one.kv_blocks = 32;
    for (const auto& [other, plan] : at_)
      if (other != name) one.dials.push_back(plan.address);
    auto files = std::make_shared<fakes::memory_files>();
    files->context_tokens = 96;
    const std::string bytes(150, 'A');
    files->true_bytes[digest] = bytes;
    files->files["/models/tiny.gguf"] = {bytes, digest};
    disks_[name].models = std::move(files);
  }
  for (const std::string& name : node_names) begin(name);
  pass(2'500'000);
}

void stage::pass(time_us time) {
  for (const time_us end = clock_.now() + time; clock_.now() < end;) {
    clock_.run_until(std::min(end, clock_.now() + slice));
    for (auto& [name, one] : clients_) one->tick();
  }
}

void stage::begin(const std::string& name) {
  if (nodes_[name]) return;
  sim::node_disk& disk = disks_.at(name);
  ++disk.incarnation;
  sim::node_watch watch;
  watch.record = [this](sim::event e) {
    e.at = clock_.now();
    events_.push_back(std::move(e));
  };
  watch.is_poison = [](const std::string&) { return false; };
  watch.poisoned = [](const std::string&) {};
  watch.all_others_reach = [](const std::string&) { return false; };
  nodes_[name] = std::make_unique<sim::node>(clock_, net_, dice_.split(disk.incarnation),
                                             at_.at(name), plan_.cores, plan_.link, disk,
                                             redis ? &redis_ : nullptr, nullptr, std::move(watch));
}

void stage::kill(const std::string& name) {
  nodes_.at(name).reset();
  disks_.at(name).journal.kill();
}

void stage::power_off(const std::string& name) {
  net_.silence(name);
  nodes_.at(name).reset();
  disks_.at(name).journal.power_cut();
}

void stage::cut(const std::string& a, const std::string& b, bool both) {
  net_.cut(a, b, false);
  if (both) net_.cut(b, a, false);
}

void stage::mend(const std::string& a, const std::string& b) {
  net_.heal(a, b);
  net_.heal(b, a);
}

reader& stage::client(const std::string& name) {
  std::unique_ptr<reader>& one = clients_[name];
  if (!one) one = std::make_unique<reader>(clock_, net_, dice_.split(99), name, plan_.link);
  return *one;
}

void stage::submit(const std::string& who, const std::string& job, const std::string& gateway,
                   reader::brings what) {
  client(who).submit(job, gateway, at_.at(gateway).address, what);
}

const sim::known_job& stage::make_job(const std::string& name, proto::JobSpecification asked) {
  sim::known_job& job = jobs_[name];
  job.id = (name + std::string(16, '-')).substr(0, 16);
  job.id[6] = 0x70;  // UUIDv7
  job.id[8] = static_cast<char>(0x80);
  job.asked = std::move(asked);
  sim::solve(job, fakes::digest_of('a'));
  return job;
}

bool stage::journal_knows(const std::string& node, const std::string& job) const {
  const std::string& id = jobs_.at(job).id;
  for (const proto::JournalRecord& record : disks_.at(node).journal.content())
    if (record.has_taken() && record.taken().asked().job_id() == id) return true;
  return false;
}

std::uint32_t stage::journal_tokens(const std::string& node, const std::string& job) const {
  const std::string& id = jobs_.at(job).id;
  std::uint32_t held = 0;
  for (const proto::JournalRecord& record : disks_.at(node).journal.content())
    if (record.has_tokens() && record.tokens().job_id() == id)
      held = record.tokens().first_index() + static_cast<std::uint32_t>(record.tokens().ids_size());
  return held;
}

}  // namespace troupe::scenario
