#include "tests/sim/simulation.hpp"

#include <algorithm>

#include "tests/sim/client.hpp"

namespace troupe::sim {
namespace {

constexpr time_us look_every = 100'000;
constexpr time_us settle_time = 3'000'000;  // after the last job, for what is to be given back

class cluster_run {
 public:
  cluster_run(const run_plan& plan, const make_seam& planted,
              const std::function<void(const event&)>& trace)
      : plan_(plan),
        planted_(planted),
        trace_(trace),
        dice_(plan.seed),
        net_(clock_, dice_.split(1)) {
    net_.faults = plan.wires;
    for (const job_plan& job : plan.jobs) out_.history.jobs[job.job.id] = job.job;
    out_.history.attempts_max = plan.cores.gateway.attempts_max;
    out_.history.worker_losses_max = plan.cores.gateway.worker_losses_max;
    out_.history.ends_within = plan.ends_within;
    prepare_disks();
    for (std::size_t n = 0; n < plan.nodes.size(); ++n) start(n);
    start_clients();
    for (const fault_plan& fault : plan.faults)
      clock_.at(fault.at, [this, &fault] { begin(fault); });
    clock_.at(plan.heal_at, [this] { heal(); });
  }

  run_result finish() {
    clock_.run_until(plan_.heal_at);
    const time_us latest = plan_.heal_at + plan_.ends_within;
    const auto all_done = [&] {
      return std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->done(); });
    };
    while (clock_.now() < latest && !all_done()) clock_.run_until(clock_.now() + look_every);
    clock_.run_until(clock_.now() + settle_time);
    for (const auto& n : nodes_)
      if (n) n->report_left_over();
    for (const auto& a : nodes_)
      for (const auto& b : nodes_)
        if (a && b && a != b) compare_views(*a, *b);
    event unread;
    unread.what = what::left;
    unread.text = "jobs without an end at their clients";
    for (const auto& c : clients_) unread.count += static_cast<std::uint32_t>(!c->done());
    record(unread);
    out_.digest = clock_.digest();
    out_.actions = clock_.happened();
    out_.frames = net_.frames_delivered();
    out_.lasted = clock_.now();
    return std::move(out_);
  }

 private:
  void record(event e) {
    e.at = clock_.now();
    clock_.note(described(e));
    if (trace_) trace_(e);
    out_.history.events.push_back(std::move(e));
  }

  void prepare_disks() {
    disks_.resize(plan_.nodes.size());
    for (std::size_t n = 0; n < disks_.size(); ++n) {
      auto files = std::make_shared<fakes::memory_files>();
      files->context_tokens = 96;
      for (std::size_t m = 0; m < plan_.models.size(); ++m) {
        const std::string bytes(150, static_cast<char>('A' + m));
        files->true_bytes[plan_.models[m]] = bytes;
        const auto& here = plan_.models_at[n];
        if (std::find(here.begin(), here.end(), m) != here.end())
          files->files["/models/m" + std::to_string(m) + ".gguf"] = {bytes, plan_.models[m]};
      }
      disks_[n].models = std::move(files);
    }
    nodes_.resize(disks_.size());
    lives_.resize(disks_.size());
  }

  void start(std::size_t n) {
    if (nodes_[n]) return;
    ++disks_[n].incarnation;
    node_watch watch;
    watch.record = [this](event e) { record(std::move(e)); };
    watch.is_poison = [this](const std::string& id) {
      const auto found = out_.history.jobs.find(id);
      return found != out_.history.jobs.end() && found->second.poison;
    };
    // Its own gateway survives: a gateway that dies of a job it computes itself forgets that.
    watch.poisoned = [this, n](const std::string& gateway) {
      clock_.after(0, [this, n, gateway, life = lives_[n]] {
        if (life != lives_[n] || !nodes_[n]) return;
        tell_fault(plan_.nodes[n].name, "poison at " + plan_.nodes[n].name, 600'000);
        trouble_at(plan_.nodes[n].name, {}, 600'000);
        if (gateway == plan_.nodes[n].name) return nodes_[n]->restart_actor(part::inference);
        crash(n, false);
        clock_.after(600'000, [this, n] { start(n); });
      });
    };
    watch.all_others_reach = [this, n](const std::string& lost) {
      return all_others_reach(plan_.nodes[n].name, lost);
    };
    nodes_[n] = std::make_unique<node>(
        clock_, net_, dice_.split(100 + n), plan_.nodes[n], plan_.cores, plan_.link, disks_[n],
        plan_.redis ? &redis_ : nullptr, planted_ ? planted_() : nullptr, std::move(watch));
  }

  void start_clients() {
    std::vector<std::string> gateways;
    for (const node_plan& one : plan_.nodes) gateways.push_back(one.address);
    for (std::size_t c = 0; c < plan_.clients; ++c) {
      std::vector<const job_plan*> jobs;
      for (const job_plan& job : plan_.jobs)
        if (job.client == c) jobs.push_back(&job);
      clients_.push_back(std::make_unique<client>(clock_, net_, dice_.split(200 + c), c + 1,
                                                  plan_.link, gateways, std::move(jobs),
                                                  [this](event e) { record(std::move(e)); }));
    }
  }

  void tell_fault(const std::string& node, std::string text, time_us lasts) {
    event e;
    e.what = what::fault;
    e.node = node;
    e.first = static_cast<std::uint32_t>(lasts / 1000);
    e.text = std::move(text);
    for (const auto& c : clients_) e.count += static_cast<std::uint32_t>(c->in_flight());
    record(std::move(e));
  }

  // What a sees of b, beside what b is.
  void compare_views(const node& a, const node& b) {
    const cluster::member* seen = a.sees().find(b.name());
    const cluster::member& is = *b.sees().find(b.name());
    std::string wrong;
    if (!seen || !seen->up || seen->suspect)
      wrong = "it is not up";
    else if (seen->incarnation != is.incarnation)
      wrong = "its incarnation";
    else if (!cluster::same_models(seen->models, is.models))
      wrong = "its models";
    else if (!(seen->load == is.load) || seen->prefixes != is.prefixes)
      wrong = "its load or its blocks";
    if (wrong.empty()) return;
    event e;
    e.what = what::view;
    e.node = a.name();
    e.who = b.name();
    e.text = wrong;
    record(std::move(e));
  }

  // Of a fault, and what it leaves behind: between two nodes, or (no `b`) at one and all its wires.
  struct trouble {
    std::string a, b;
    time_us until = 0;
  };
  void trouble_at(const std::string& a, const std::string& b, time_us lasts) {
    constexpr time_us shadow = 4'000'000;
    troubles_.push_back({a, b, clock_.now() + lasts + shadow});
  }
  bool all_others_reach(const std::string& by, const std::string& lost) const {
    if (plan_.nodes.size() < 3 || plan_.wires.loss > 0 || plan_.wires.reorder > 0 ||
        plan_.wires.garbage > 0)
      return false;
    const std::pair<std::string, std::string> wire(std::min(by, lost), std::max(by, lost));
    return std::all_of(troubles_.begin(), troubles_.end(), [&](const trouble& one) {
      const bool theirs = !one.b.empty() && std::min(one.a, one.b) == wire.first &&
                          std::max(one.a, one.b) == wire.second;
      return theirs || one.until < clock_.now();
    });
  }
  void note_trouble(const fault_plan& fault) {
    const std::string& name = plan_.nodes[fault.node].name;
    switch (fault.kind) {
      case fault_kind::cut:
      case fault_kind::reset:
        return trouble_at(name, plan_.nodes[fault.other].name, fault.lasts);
      case fault_kind::kill:
      case fault_kind::power_cut:
      case fault_kind::stop:
      case fault_kind::cut_off:
      case fault_kind::slow_wires:
      case fault_kind::node_restart:
        return trouble_at(name, {}, fault.lasts);
      default:
        return;
    }
  }

  // A client is not told that its gateway's actor was started again: only its patience helps it.
  static time_us shown_time(const fault_plan& fault) {
    if (fault.kind == fault_kind::gateway_restart) return patience_max;
    return fault.kind == fault_kind::redis_lies ? 3 * fault.lasts : fault.lasts;
  }

  void crash(std::size_t n, bool power) {
    if (!nodes_[n]) return;
    if (power) net_.silence(plan_.nodes[n].name);
    nodes_[n].reset();
    power ? disks_[n].journal.power_cut(dice_.below(disks_[n].journal.unsynced() + 1))
          : disks_[n].journal.kill();
    ++lives_[n];
  }

  void begin(const fault_plan& fault) {
    const std::size_t n = fault.node;
    const std::string& name = plan_.nodes[n].name;
    const std::string& other = plan_.nodes[fault.other].name;
    tell_fault(name, std::string(name_of(fault.kind)) + " at " + name + " with " + other,
               shown_time(fault));
    note_trouble(fault);
    node* at = nodes_[n].get();
    switch (fault.kind) {
      case fault_kind::kill:
      case fault_kind::power_cut:
        crash(n, fault.kind == fault_kind::power_cut);
        return clock_.after(fault.lasts, [this, n] { start(n); });
      case fault_kind::stop:
        if (at) at->stop_for(fault.lasts);
        return;
      case fault_kind::cut:
        return cut(name, other, fault);
      case fault_kind::cut_off:
        for (const node_plan& one : plan_.nodes)
          if (one.name != name) cut(name, one.name, fault);
        return;
      case fault_kind::client_cut: {
        const std::string session = clients_[fault.other % clients_.size()]->session_name();
        if (!session.empty()) cut(session, name, fault);
        return;
      }
      case fault_kind::reset:
        return net_.reset(name, other);
      case fault_kind::slow_wires:
        net_.faults.delay_max = 60'000;
        return clock_.after(fault.lasts, [this] { net_.faults.delay_max = plan_.wires.delay_max; });
      case fault_kind::gateway_restart:
        if (at) at->restart_actor(part::gateway);
        return;
      case fault_kind::inference_restart:
        if (at && plan_.nodes[n].computes) at->restart_actor(part::inference);
        return;
      case fault_kind::node_restart:
        if (at) at->restart_actor(part::node);
        return;
      case fault_kind::cache_restart:
        if (at) at->restart_actor(part::cache_tier);
        return;
      case fault_kind::overflow:
        if (at)
          at->overflow(fault.one_way ? part::inference : part::gateway,
                       std::min<time_us>(fault.lasts, 300'000));
        return;
      case fault_kind::engine_failure:
        if (at) at->fail_engine_once();
        return;
      case fault_kind::lies:
        if (!at) return;
        at->lie(150);
        return clock_.after(fault.lasts, [this, n, life = lives_[n]] {
          if (life == lives_[n] && nodes_[n]) nodes_[n]->lie(0);
        });
      case fault_kind::redis_down:
        return redis_is(shared_redis::mood::down, fault.lasts);
      case fault_kind::redis_slow:
        return redis_is(shared_redis::mood::slow, fault.lasts);
      case fault_kind::redis_lies:
        return redis_is(shared_redis::mood::lying, 3 * fault.lasts);
      case fault_kind::redis_emptied:
        return redis_.held.clear();
    }
  }

  void redis_is(shared_redis::mood mood, time_us lasts) {
    redis_.now = mood;
    clock_.after(lasts, [this, mood] {
      if (redis_.now == mood) redis_.now = shared_redis::mood::well;
    });
  }

  void cut(const std::string& a, const std::string& b, const fault_plan& fault) {
    if (a == b) return;
    net_.cut(a, b, fault.held);
    if (!fault.one_way) net_.cut(b, a, fault.held);
    clock_.after(fault.lasts, [this, a, b] {
      net_.heal(a, b);
      net_.heal(b, a);
    });
  }

  void heal() {
    net_.heal_all();
    net_.faults = {};
    redis_.now = shared_redis::mood::well;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      start(n);
      nodes_[n]->lie(0);
      nodes_[n]->mend_engine();
    }
    event e;
    e.what = what::healed;
    record(e);
  }

  const run_plan& plan_;
  const make_seam& planted_;
  const std::function<void(const event&)>& trace_;
  run_result out_;
  dice dice_;
  clockwork clock_;
  network net_;
  shared_redis redis_;
  std::vector<node_disk> disks_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<std::uint64_t> lives_;
  std::vector<trouble> troubles_;
  std::vector<std::unique_ptr<client>> clients_;
};

}  // namespace

std::string described(const event& e) {
  static constexpr const char* names[] = {
      "submit",   "accepted",  "refused",   "tokens",        "finished", "grant",     "cancel",
      "given_up", "impatient", "conflict",  "conflict_told", "attempt",  "frame",     "sending",
      "sealed",   "fault",     "recovered", "healed",        "left",     "node_lost", "view"};
  std::string out = std::to_string(e.at) + " " + names[static_cast<std::size_t>(e.what)];
  const auto word = [&](const char* key, const std::string& value) {
    if (!value.empty()) out += std::string(" ") + key + "=" + value;
  };
  const auto number = [&](const char* key, std::uint64_t value) {
    if (value != 0) out += std::string(" ") + key + "=" + std::to_string(value);
  };
  word("who", e.who);
  word("node", e.node);
  word("job", e.job.empty() ? "" : cluster::shown_id(e.job).substr(0, 8));
  number("stream", e.stream);
  number("epoch", e.epoch);
  number("attempt", e.attempt);
  number("first", e.first);
  number("count", e.count);
  number("tokens", e.ids.size());
  number("hash", e.hash);
  if (e.reason != proto::FINISH_REASON_UNSPECIFIED)
    word("reason", proto::FinishReason_Name(e.reason));
  if (e.code != proto::Error::OK) word("code", proto::Error::Code_Name(e.code));
  const bool shown = e.what == what::fault || e.what == what::left || e.what == what::refused ||
                     e.what == what::node_lost || e.what == what::view;
  if (shown) word("about", e.text);
  return out;
}

run_result run(const run_plan& plan, const make_seam& planted,
               const std::function<void(const event&)>& trace) {
  return cluster_run(plan, planted, trace).finish();
}

}  // namespace troupe::sim
