#include "tests/sim/client.hpp"

#include <algorithm>

namespace troupe::sim {
namespace {

constexpr time_us credit_repeat = 1'000'000;  // of silence; then the credit is said again

}  // namespace

class client::session final : public process {
 public:
  session(client& owner, clockwork& clock, network& net, dice chances, const std::string& name,
          const std::string& gateway, const link::link_settings& link)
      : process(clock, net, chances, {name, 1, link::peer_role::client}, "", link), owner_(owner) {
    dial(gateway);
  }
  bool say(const envelope_ptr& message) { return send(message).ok(); }

 private:
  void on_up(const link::peer_view& peer) override { owner_.came_up(peer.who.name); }
  void on_down(const link::peer_view&, const std::string&, std::vector<envelope_ptr>) override {
    owner_.went_down();
  }
  void on_envelopes(const link::peer_view&, std::span<envelope_ptr> messages) override {
    for (const envelope_ptr& message : messages) owner_.hear(*message);
  }
  client& owner_;
};

client::client(clockwork& clock, network& net, dice chances, std::size_t number,
               const link::link_settings& link, std::vector<std::string> gateways,
               std::vector<const job_plan*> jobs, std::function<void(event)> record)
    : clock_(clock),
      net_(net),
      dice_(chances),
      name_("client" + std::to_string(number)),
      number_(number),
      patience_(dice_.chance(300) ? patience_max : patience_min),
      link_(link),
      gateways_(std::move(gateways)),
      record_(std::move(record)) {
  for (const job_plan* job : jobs) readings_.emplace_back().plan = job;
  at_ = dice_.below(gateways_.size());
  connect();
  clock_.after(client_tick, [this] { tick(); });
}

client::~client() = default;

std::size_t client::in_flight() const {
  return static_cast<std::size_t>(std::count_if(
      readings_.begin(), readings_.end(),
      [](const reading& r) { return r.phase == phase::asked || r.phase == phase::reading; }));
}

bool client::done() const {
  return std::all_of(readings_.begin(), readings_.end(),
                     [](const reading& r) { return r.phase == phase::ended; });
}

std::string client::session_name() const {
  return session_ ? session_->name() : std::string();
}

void client::record(what kind, const reading& r, event e) {
  e.what = kind;
  e.who = name_;
  if (e.node.empty()) e.node = gateway_;
  e.job = r.plan->job.id;
  if (e.stream == 0) e.stream = r.stream;
  record_(std::move(e));
}

void client::connect() {
  gateway_.clear();
  connecting_since_ = clock_.now();
  session_ =
      std::make_unique<session>(*this, clock_, net_, dice_.split(7),
                                name_ + "-" + std::to_string(++sessions_), gateways_[at_], link_);
}

void client::drop(time_us wait) {
  if (std::exchange(dropping_, true)) return;
  went_down();
  clock_.after(1, [this] { session_.reset(); });
  clock_.after(1 + wait, [this] {
    dropping_ = false;
    if (dice_.chance(600)) at_ = dice_.below(gateways_.size());
    connect();
  });
}

void client::came_up(const std::string& gateway) {
  gateway_ = gateway;
}

void client::went_down() {
  gateway_.clear();
  connecting_since_ = clock_.now();
  for (reading& r : readings_)
    if (r.phase == phase::asked || r.phase == phase::reading) {
      r.phase = phase::waiting;
      r.stream = 0;
      r.streams.clear();
    }
}

void client::tick() {
  clock_.after(client_tick, [this] { tick(); });
  if (dropping_) return;
  if (gateway_.empty()) {
    if (clock_.now() - connecting_since_ > patience_min) drop(dice_.below(300'000));
    return;
  }
  for (reading& r : readings_) {
    if (clock_.now() < r.plan->starts || r.phase == phase::ended) continue;
    if (r.phase == phase::waiting) {
      if (clock_.now() >= r.not_before) ask(r);
      continue;
    }
    if (r.phase == phase::reading) read_some(r);
    if (r.phase == phase::reading && r.granted > r.next &&
        clock_.now() - std::max(r.news_at, r.granted_at) > credit_repeat)
      grant(r);
    const bool may_come = r.phase == phase::asked || r.granted > r.next;
    if (may_come && clock_.now() - r.news_at > patience_) {
      record(what::impatient, r);
      return drop(dice_.below(200'000));
    }
    if (r.plan->leave_after && !r.left && r.held.size() >= *r.plan->leave_after) {
      r.left = true;
      return drop(dice_.below(800'000));
    }
  }
}

void client::say(proto::Envelope message) {
  if (gateway_.empty()) return;
  message.mutable_sender()->set_node(session_->name());
  message.mutable_sender()->set_actor("client");
  message.mutable_target()->set_node(gateway_);
  message.mutable_target()->set_actor("gateway");
  if (!session_->say(std::make_shared<const proto::Envelope>(std::move(message)))) went_down();
}

void client::ask(reading& r) {
  r.phase = phase::asked;
  r.news_at = clock_.now();
  proto::Envelope message;
  proto::SubmitJob& wish = *message.mutable_submit_job();
  wish.set_job_id(r.plan->job.id);
  *wish.mutable_job() = r.plan->job.asked;
  const auto from = r.from_start ? 0 : static_cast<std::uint32_t>(r.held.size());
  wish.set_from_index(from);
  wish.set_credit_tokens(r.plan->window);
  message.set_deadline_ms(r.plan->deadline_ms);
  const int times = r.plan->asks_twice && r.held.empty() ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    const std::uint64_t stream = number_ << 32 | ++correlation_;
    message.set_correlation(stream);
    r.streams[stream] = from;
    event asked;
    asked.stream = stream;
    asked.first = from;
    asked.count = r.plan->window;
    record(what::submit, r, std::move(asked));
    say(message);
  }
}

// The same id with other content: must be refused as long as the job is known.
void client::ask_other_content(reading& r) {
  r.conflicted = true;
  proto::Envelope message;
  proto::SubmitJob& wish = *message.mutable_submit_job();
  wish.set_job_id(r.plan->job.id);
  *wish.mutable_job() = r.plan->job.asked;
  wish.mutable_job()->set_tokens_max(wish.job().tokens_max() + 1);
  wish.set_credit_tokens(1);
  message.set_correlation(number_ << 32 | 0x8000'0000u | ++correlation_);
  event asked;
  asked.stream = message.correlation();
  record(what::conflict, r, std::move(asked));
  say(std::move(message));
}

client::reading* client::of(const std::string& job) {
  for (reading& r : readings_)
    if (r.plan->job.id == job) return &r;
  return nullptr;
}

void client::hear(const proto::Envelope& message) {
  if (gateway_.empty()) return;  // of a connection that was given up
  if (message.has_error()) return hear_error(message);
  if (message.has_job_tokens()) {
    if (reading* r = of(message.job_tokens().job_id())) hear_tokens(*r, message.job_tokens());
    return;
  }
  if (message.has_job_finished()) {
    if (reading* r = of(message.job_finished().job_id())) hear_end(*r, message);
    return;
  }
  if (!message.has_job_accepted()) return;
  reading* r = of(message.job_accepted().job_id());
  if (!r) return;
  event told;
  told.stream = message.correlation();
  if (message.correlation() & 0x8000'0000u) return record(what::conflict_told, *r, std::move(told));
  told.text = message.job_accepted().sampling().SerializeAsString();
  record(what::accepted, *r, std::move(told));
  const auto found = r->streams.find(message.correlation());
  if (found == r->streams.end()) return;
  r->phase = phase::reading;
  r->stream = message.correlation();
  r->next = found->second;
  r->granted = std::uint64_t{r->next} + r->plan->window;
  r->unread = r->read = 0;
  r->news_at = r->granted_at = clock_.now();
  // Those asked for earlier are answered by this one.
  r->streams.erase(r->streams.begin(), std::next(found));
  if (r->plan->conflicts && !r->conflicted) ask_other_content(*r);
}

void client::hear_tokens(reading& r, const proto::JobTokens& tokens) {
  event told;
  told.first = tokens.first_index();
  told.ids.assign(tokens.ids().begin(), tokens.ids().end());
  told.hash = tokens.running_hash();
  told.text = tokens.text();
  record(what::tokens, r, std::move(told));
  if (r.phase != phase::reading) return;
  r.news_at = clock_.now();
  for (const std::int32_t id : tokens.ids()) {
    if (r.next == r.held.size()) r.held.push_back(id);
    ++r.next;
    ++r.unread;
  }
  if (r.plan->cancel_after && !r.cancelled && r.held.size() >= *r.plan->cancel_after) {
    r.cancelled = true;
    proto::Envelope message;
    message.mutable_cancel_job()->set_job_id(r.plan->job.id);
    if (dice_.chance(500)) message.set_correlation(number_ << 32 | 0x4000'0000u | ++correlation_);
    record(what::cancel, r);
    say(std::move(message));
  }
}

// Reads at its own pace; credit goes out when half of the window was read.
void client::read_some(reading& r) {
  const std::uint32_t now = std::min(r.unread, r.plan->reads_per_tick);
  r.unread -= now;
  r.read += now;
  if (r.read == 0 || (r.read < r.plan->window / 2 && r.unread > 0)) return;
  if (r.granted <= r.next) r.news_at = clock_.now();
  r.granted += r.read;
  event given;
  given.count = std::exchange(r.read, 0);
  record(what::grant, r, std::move(given));
  grant(r);
}

void client::grant(reading& r) {
  r.granted_at = clock_.now();
  proto::Envelope message;
  message.set_correlation(r.stream);  // a gateway that has forgotten the job says so
  message.mutable_grant_job_credit()->set_job_id(r.plan->job.id);
  message.mutable_grant_job_credit()->set_limit(r.granted);
  say(std::move(message));
}

void client::hear_end(reading& r, const proto::Envelope& message) {
  const proto::JobFinished& finished = message.job_finished();
  if (message.correlation() & 0x4000'0000u) return;  // the reply to CancelJob
  event told;
  told.reason = finished.reason();
  told.code = finished.error().code();
  told.count = finished.answer_tokens();
  told.hash = finished.running_hash();
  told.text =
      finished.reason() == proto::FAILED ? finished.error().message() : finished.text_tail();
  record(what::finished, r, std::move(told));
  const bool whole =
      finished.reason() != proto::FAILED && finished.reason() != proto::CANCELLED_BY_CLIENT;
  if (r.plan->reads_again && !r.again && whole) {
    r.again = true;
    r.phase = phase::waiting;
    r.stream = 0;
    r.from_start = dice_.chance(700);
    r.held.resize(dice_.below(r.held.size() + 1));
    r.not_before = clock_.now() + dice_.below(1'500'000);
    return;
  }
  r.phase = phase::ended;
}

void client::hear_error(const proto::Envelope& message) {
  if (message.correlation() & 0x8000'0000u) {
    for (reading& r : readings_) {
      if (!r.conflicted) continue;
      event told;
      told.stream = message.correlation();
      told.code = message.error().code();
      return record(what::conflict_told, r, std::move(told));
    }
    return;
  }
  for (reading& r : readings_) {
    const bool asked = r.streams.contains(message.correlation());
    if (!asked && (r.stream != message.correlation() || r.stream == 0)) continue;
    if (r.phase == phase::reading && r.stream == message.correlation() &&
        message.error().code() == proto::Error::RESOURCE_EXHAUSTED)
      return;  // a grant found no room
    event told;
    told.stream = message.correlation();
    told.code = message.error().code();
    told.text = message.error().message();
    record(what::refused, r, std::move(told));
    // One answer for all that asked before it.
    r.streams.erase(r.streams.begin(), r.streams.upper_bound(message.correlation()));
    if (message.error().code() == proto::Error::INVALID_ARGUMENT) {
      // The answer is shorter there: it failed. Its end is told to who reads from the start.
      if (r.from_start || r.held.empty()) {
        r.phase = phase::ended;
        record(what::given_up, r);
        return;
      }
      r.from_start = true;
    }
    if (message.error().code() == proto::Error::DEADLINE_EXCEEDED && r.plan->deadline_ms > 0) {
      r.phase = phase::ended;
      record(what::given_up, r);
      return;
    }
    if (!r.streams.empty() || (r.stream != message.correlation() && r.phase == phase::reading))
      return;
    r.phase = phase::waiting;
    r.stream = 0;
    r.not_before = clock_.now() + dice_.between(50'000, 600'000);
    if (dice_.chance(400)) drop(dice_.below(100'000));
    return;
  }
}

}  // namespace troupe::sim
