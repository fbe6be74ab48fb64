#include "cluster/gateway/gateway_role.hpp"

#include <spdlog/spdlog.h>

#include <ctime>
#include <random>

#include "cluster/gateway/held_steps.hpp"
#include "cluster/journal/journal_writer.hpp"

namespace troupe::cluster {
namespace {

// The wall clock's local time, counted as if it were UTC: days of 86400 seconds from 1970 on.
std::int64_t local_seconds() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return ::timegm(&local);
}

constexpr std::chrono::seconds journal_retry{2};

std::uint64_t unguessable() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

struct journal_told : role_event {
  explicit journal_told(journal::journal_news n) : news(std::move(n)) {}
  journal::journal_news news;
};

// The journal's folder, what lies on it, and the thread that writes. Declared in the order of their
// life.
class open_journal {
 public:
  static result<std::unique_ptr<open_journal>> open(const journal_place& place) {
    auto files = journal::open_journal_folder(place.folder);
    if (!files) return files.failure();
    return std::unique_ptr<open_journal>(new open_journal(std::move(*files)));
  }
  journal::journal_store& store() { return store_; }
  void begin(const journal_place& place, notify_self notify) {
    journal::writer_settings settings;
    settings.file_bytes_max = place.file_bytes_max;
    writer_.emplace(store_, settings,
                    [notify = std::move(notify)](const journal::journal_news& news) {
                      notify(std::make_shared<journal_told>(news));
                    });
  }
  void write(journal::batch records) { writer_->write(std::move(records)); }

 private:
  explicit open_journal(std::unique_ptr<journal::journal_files> files)
      : files_(std::move(files)), store_(*files_, unguessable) {}
  std::unique_ptr<journal::journal_files> files_;
  journal::journal_store store_;
  std::optional<journal::journal_writer> writer_;
};

class gateway_role : public role {
 public:
  gateway_role(const gateway_settings& settings, journal_place place, post_office& office,
               notify_self notify, std::shared_ptr<gateway_gauge> shown)
      : core_(settings),
        place_(std::move(place)),
        notify_(std::move(notify)),
        office_(office),
        shown_(std::move(shown)) {
    show();
    journals_ = settings.journal;
  }

  void receive(const envelope_ptr& message, time_point_us now) override {
    begin(now);
    if (message->has_submit_job()) core_.tell_local_time(local_seconds());
    carry_out(core_.receive(*message, now));
  }

  void notice(const role_event& event, time_point_us now) override {
    begin(now);
    if (auto* told = dynamic_cast<const journal_told*>(&event))
      hear(told->news, now);
    else if (auto* changed = dynamic_cast<const cluster_changed*>(&event))
      carry_out(core_.view_changed(changed->view, now));
    else if (auto* lost = dynamic_cast<const node_lost*>(&event))
      carry_out(core_.node_lost(lost->node, now, lost->died));
    else if (auto* open = dynamic_cast<const sessions_open*>(&event))
      carry_out(core_.sessions_back(open->prefix, now));
    else if (auto* forgot = dynamic_cast<const actor_forgot*>(&event))
      carry_out(core_.actor_restarted(forgot->node, forgot->actor, now));
    else if (auto* stop = dynamic_cast<const stop_accepting*>(&event))
      carry_out(core_.stop_accepting(stop->end_running, now));
  }

  void tick(time_point_us now) override {
    begin(now);
    if (journals_ && failed_at_ && now - *failed_at_ >= journal_retry) retry(now);
    carry_out(core_.tick(now));
    office_.post_together(steps_.take());
  }

 private:
  // Reads the journal, before anything else is done.
  void begin(time_point_us now) {
    if (!journals_ || began_) return;
    began_ = true;
    std::vector<proto::JournalRecord> records;
    std::optional<error> failure;
    if (auto opened = open_journal::open(place_)) {
      journal_ = std::move(*opened);
      auto content = journal_->store().read();
      if (content) {
        records = std::move(content->records);
        for (const journal::byte_range& hole : content->damaged)
          spdlog::error("journal_damaged from_byte={} to_byte={}", hole.from, hole.to);
        if (content->cut > 0)
          spdlog::warn("journal_cut bytes={} after_byte={}", content->cut, content->end);
      } else {
        failure = content.failure();
      }
      journal_->begin(place_, notify_);
    } else {
      failure = opened.failure();
    }
    gateway_effects effects = core_.recover(std::move(records), now);
    if (failure) effects.journal = {};
    carry_out(std::move(effects));
    if (failure) fail(*failure, now);
  }

  void fail(const error& why, time_point_us now) {
    failed_at_ = now;
    spdlog::error("journal_failed reason=\"{}\"", why.text());
    carry_out(core_.journal_failed(why, now));
  }

  void retry(time_point_us now) {
    failed_at_ = now;
    if (!journal_) {
      auto opened = open_journal::open(place_);
      if (!opened) return;
      journal_ = std::move(*opened);
      journal_->begin(place_, notify_);
    }
    carry_out(core_.rewrite_journal(now));
  }

  void hear(const journal::journal_news& news, time_point_us now) {
    if (news.failure) return fail(*news.failure, now);
    if (news.position > 0) carry_out(core_.durable(news.position, now));
    if (!core_.journal_failure()) failed_at_.reset();
    if (news.too_large) carry_out(core_.rewrite_journal(now));
  }

  void carry_out(gateway_effects effects) {
    for (const std::string& line : effects.log) spdlog::info("{}", line);
    if (journal_) journal_->write(std::move(effects.journal));
    steps_.hold(std::move(effects.told));
    office_.post_together(steps_.before(effects.messages));
    for (envelope_ptr& message : effects.messages) office_.post(std::move(message));
    show();  // last: who sees nothing left to do may end the process
  }

  void show() {
    const gateway_counters& counters = core_.counters();
    shown_->accepted = counters.accepted;
    shown_->refused = counters.refused;
    shown_->untold = core_.untold();  // first: a job that has ended is in one of the two
    shown_->running = counters.running;
    shown_->frames_fenced = counters.frames_fenced;
    shown_->answer_tokens = counters.answer_tokens;
  }

  gateway_core core_;
  journal_place place_;
  notify_self notify_;
  bool journals_ = false;
  bool began_ = false;
  std::optional<time_point_us> failed_at_;  // of the journal's last failure or new beginning
  post_office& office_;
  held_steps steps_;
  std::shared_ptr<gateway_gauge> shown_;
  std::unique_ptr<open_journal> journal_;  // last: its thread ends first
};

}  // namespace

role_handle spawn_gateway(caf::actor_system& system, const gateway_settings& settings,
                          journal_place place, post_office& office,
                          std::shared_ptr<actor_gauge> gauge,
                          std::shared_ptr<gateway_gauge> shown) {
  role_plan plan;
  plan.name = "gateway";
  plan.gauge = std::move(gauge);
  plan.tick_every = std::chrono::milliseconds(50);
  plan.mailbox_max = 65536;
  plan.make = [settings, place = std::move(place), &office,
               shown = std::move(shown)](notify_self notify) {
    return std::make_unique<gateway_role>(settings, place, office, std::move(notify), shown);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe::cluster
