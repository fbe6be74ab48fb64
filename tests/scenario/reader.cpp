#include "tests/scenario/reader.hpp"

#include "actors/running_hash.hpp"

namespace troupe::scenario {
namespace {

constexpr time_us credit_repeat = 1'000'000;  // of silence

}  // namespace

class reader::session final : public sim::process {
 public:
  session(reader& owner, sim::clockwork& clock, sim::network& net, sim::dice chances,
          const std::string& name, std::string gateway, const std::string& address,
          const link::link_settings& link)
      : process(clock, net, chances, {name, 1, link::peer_role::client}, "", link),
        owner_(owner),
        gateway_(std::move(gateway)) {
    dial(address);
  }
  void say(proto::Envelope message) {
    message.mutable_sender()->set_node(name());
    message.mutable_sender()->set_actor("client");
    auto whole = std::make_shared<const proto::Envelope>(std::move(message));
    if (!up || !send(whole).ok()) waiting_.push_back(std::move(whole));
  }
  bool up = false;

 private:
  void on_up(const link::peer_view&) override {
    up = true;
    for (const envelope_ptr& message : std::exchange(waiting_, {})) (void)send(message).ok();
  }
  void on_down(const link::peer_view&, const std::string&, std::vector<envelope_ptr>) override {
    up = false;
  }
  void on_envelopes(const link::peer_view&, std::span<envelope_ptr> messages) override {
    for (const envelope_ptr& message : messages) owner_.hear(gateway_, *message);
  }
  reader& owner_;
  const std::string gateway_;
  std::vector<envelope_ptr> waiting_;  // until the gateway is reached
};

reader::reader(sim::clockwork& clock, sim::network& net, sim::dice chances, std::string name,
               const link::link_settings& link)
    : clock_(clock), net_(net), dice_(chances), name_(std::move(name)), link_(link) {}

reader::~reader() = default;

bool reader::connected_to(const std::string& gateway) const {
  const auto found = sessions_.find(gateway);
  return found != sessions_.end() && found->second->up;
}

std::string reader::session_with(const std::string& gateway) const {
  const auto found = sessions_.find(gateway);
  return found == sessions_.end() ? std::string() : found->second->name();
}

void reader::say(const std::string& gateway, proto::Envelope message) {
  message.mutable_target()->set_node(gateway);
  message.mutable_target()->set_actor("gateway");
  const auto found = sessions_.find(gateway);
  if (found != sessions_.end()) found->second->say(std::move(message));
}

void reader::submit(const std::string& job, const std::string& gateway, const std::string& address,
                    brings what) {
  if (!connected_to(gateway)) sessions_.erase(gateway);
  if (!sessions_.contains(gateway)) {
    ++opened_;
    sessions_[gateway] =
        std::make_unique<session>(*this, clock_, net_, dice_.split(opened_),
                                  name_ + "-" + std::to_string(opened_), gateway, address, link_);
  }
  reading& r = jobs_[job];
  r.gateway = gateway;
  r.correlation = ++correlation_;
  r.taken = false;
  r.told.reset();
  r.next = what == brings::nothing ? 0 : static_cast<std::uint32_t>(r.ids.size());
  r.granted = std::uint64_t{r.next} + r.window;
  r.said_at = clock_.now();
  proto::Envelope message;
  message.set_correlation(r.correlation);
  proto::SubmitJob& wish = *message.mutable_submit_job();
  wish.set_job_id(r.id);
  *wish.mutable_job() = r.job;
  wish.set_from_index(r.next);
  wish.set_credit_tokens(r.window);
  if (what == brings::its_prefix) {
    if (r.accepted) *wish.mutable_pinned() = *r.accepted;
    for (const proto::JobTokens& frame : r.frames) *wish.add_held() = frame;
  }
  say(gateway, std::move(message));
}

void reader::read_on(const std::string& job) {
  reading& r = jobs_.at(job);
  r.holds_back = false;
  r.granted = std::uint64_t{r.next} + r.window;
  grant(r);
}

void reader::grant(reading& r) {
  r.said_at = clock_.now();
  proto::Envelope message;
  message.set_correlation(r.correlation);
  message.mutable_grant_job_credit()->set_job_id(r.id);
  message.mutable_grant_job_credit()->set_limit(r.granted);
  say(r.gateway, std::move(message));
}

void reader::cancel(const std::string& job) {
  proto::Envelope message;
  message.mutable_cancel_job()->set_job_id(jobs_.at(job).id);
  say(jobs_.at(job).gateway, std::move(message));
}

void reader::tick() {
  for (auto& [job, r] : jobs_)
    if (r.taken && !r.holds_back && !r.finished && clock_.now() - r.said_at > credit_repeat)
      grant(r);
}

reader::reading* reader::of(const std::string& id, const std::string& gateway) {
  for (auto& [job, r] : jobs_)
    if (r.id == id && r.gateway == gateway) return &r;
  return nullptr;
}

void reader::hear(const std::string& gateway, const proto::Envelope& message) {
  if (message.has_error()) {
    for (auto& [job, r] : jobs_)
      if (r.correlation == message.correlation() && r.gateway == gateway) {
        r.told = message.error();
        r.taken = false;
      }
    return;
  }
  if (message.has_job_accepted()) {
    reading* r = of(message.job_accepted().job_id(), gateway);
    if (!r || message.correlation() != r->correlation) return;
    if (r->accepted && r->accepted->sampling().SerializeAsString() !=
                           message.job_accepted().sampling().SerializeAsString())
      faults_.push_back("the job was pinned to other parameters than before");
    if (!r->accepted) r->accepted = message.job_accepted();
    r->accepted->clear_attached();
    r->taken = true;
    r->said_at = clock_.now();
  } else if (message.has_job_tokens()) {
    if (reading* r = of(message.job_tokens().job_id(), gateway))
      hear_tokens(*r, message.job_tokens());
  } else if (message.has_job_finished() && message.correlation() == 0) {
    if (reading* r = of(message.job_finished().job_id(), gateway))
      hear_end(*r, message.job_finished());
  }
}

void reader::hear_tokens(reading& r, const proto::JobTokens& frame) {
  r.said_at = clock_.now();
  const std::string where =
      " at index " + std::to_string(frame.first_index()) + " from " + r.gateway;
  if (!r.taken) faults_.push_back("tokens before the job was accepted" + where);
  if (frame.first_index() != r.next)
    return faults_.push_back("tokens" + where + " where " + std::to_string(r.next) + " was due");
  if (r.next + static_cast<std::uint64_t>(frame.ids_size()) > r.granted)
    faults_.push_back("more tokens than credit" + where);
  for (const std::int32_t id : frame.ids()) {
    if (r.next < r.ids.size() && r.ids[r.next] != id)
      faults_.push_back("another token than before" + where);
    if (r.next == r.ids.size()) r.ids.push_back(id);
    ++r.next;
  }
  if (r.next == r.ids.size()) {
    const std::vector<std::int32_t> all = r.ids;
    if (running_hash_of(all) != frame.running_hash())
      faults_.push_back("the running hash does not hold" + where);
    if (frame.first_index() + static_cast<std::size_t>(frame.ids_size()) == r.ids.size() &&
        (r.frames.empty() ||
         frame.first_index() == r.frames.back().first_index() +
                                    static_cast<std::uint32_t>(r.frames.back().ids_size()))) {
      r.frames.push_back(frame);
      r.text += frame.text();
    }
  }
  if (r.holds_back) return;
  r.granted = std::uint64_t{r.next} + r.window;
  grant(r);
}

void reader::hear_end(reading& r, const proto::JobFinished& end) {
  if (r.finished &&
      (r.finished->reason() != end.reason() || r.finished->running_hash() != end.running_hash()))
    faults_.push_back("the job ended twice, and differently");
  r.finished = end;
}

}  // namespace troupe::scenario
