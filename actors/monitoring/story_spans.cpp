#include "actors/monitoring/story_spans.hpp"

#include <algorithm>
#include <optional>

#include "actors/monitoring/span_ids.hpp"

namespace troupe {
namespace {

class span_builder {
 public:
  span_builder(const job_story& story, std::uint64_t now_us, std::int64_t wall_offset_us)
      : story_(story), now_(now_us), offset_(wall_offset_us) {}

  std::vector<proto::Span> build() {
    open_root();
    for (const proto::ObserveStep& step : story_.steps) take(step);
    close_root();
    std::vector<proto::Span> out = std::move(spans_);
    std::stable_sort(out.begin() + 1, out.end(), [](const proto::Span& a, const proto::Span& b) {
      return a.start_us() < b.start_us();
    });
    return out;
  }

 private:
  using place = std::size_t;

  std::uint64_t wall(std::uint64_t us) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(us) + offset_);
  }
  static void say(proto::Span& span, const char* key, const std::string& text) {
    if (text.empty()) return;
    proto::SpanAttribute& to = *span.add_attributes();
    to.set_key(key);
    to.set_text(text);
  }
  static void say(proto::Span& span, const char* key, std::uint64_t number) {
    proto::SpanAttribute& to = *span.add_attributes();
    to.set_key(key);
    to.set_number(static_cast<std::int64_t>(number));
  }
  static void note(proto::Span& span, std::uint64_t at, const char* name, const std::string& text) {
    proto::SpanEvent& event = *span.add_events();
    event.set_at_us(at);
    event.set_name(name);
    event.set_text(text);
  }
  void note_root(std::uint64_t at, const char* name, const std::string& text = {}) {
    note(spans_[0], wall(at), name, text);
  }

  place open(const char* name, std::uint64_t at, const std::string& node,
             std::optional<place> under = {}) {
    proto::Span& span = spans_.emplace_back();
    span.set_trace_high(story_.trace.trace_high());
    span.set_trace_low(story_.trace.trace_low());
    span.set_id(span_id(story_.id, spans_.size() - 1));
    span.set_parent(under ? spans_[*under].id() : spans_[0].id());
    span.set_name(name);
    span.set_node(node);
    span.set_start_us(wall(at));
    span.set_lasts(true);
    return spans_.size() - 1;
  }
  void close(place which, std::uint64_t at, const std::string& error = {}) {
    proto::Span& span = spans_[which];
    const std::uint64_t end = wall(at);
    span.set_duration_us(end > span.start_us() ? end - span.start_us() : 0);
    span.set_lasts(false);
    if (!error.empty()) span.set_error(error);
  }
  void close_phase(std::uint64_t at, const std::string& error = {}) {
    if (phase_) close(*phase_, at, error);
    phase_.reset();
  }
  void begin_phase(const char* name, const proto::ObserveStep& step) {
    close_phase(step.at_us());
    phase_ = open(name, step.at_us(), step.node().empty() ? story_.gateway : step.node());
    say(spans_[*phase_], "troupe.because", step.because());
  }

  void open_root() {
    open("request", story_.began_us, story_.gateway);
    proto::Span& root = spans_[0];
    root.set_parent(story_.parent_span);
    say(root, "gen_ai.request.model", story_.model);
    say(root, "troupe.gateway", story_.gateway);
  }
  void take(const proto::ObserveStep& step);
  void begin_attempt(const proto::ObserveStep& step);
  void first_token(const proto::ObserveStep& step);
  void attempt_ended(const proto::ObserveStep& step);
  void attempt_failed(const proto::ObserveStep& step);
  void close_root();

  const job_story& story_;
  std::uint64_t now_;
  std::int64_t offset_;
  std::vector<proto::Span> spans_;
  std::optional<place> phase_, attempt_, recovery_;
  std::uint64_t attempt_at_ = 0, first_token_at_ = 0;
};

void span_builder::begin_attempt(const proto::ObserveStep& step) {
  close_phase(step.at_us());
  attempt_ = open("attempt", step.at_us(), step.node());
  attempt_at_ = step.at_us();
  first_token_at_ = 0;
  proto::Span& span = spans_[*attempt_];
  span.set_id(attempt_span_id(story_.id, step.attempt()));
  say(span, "troupe.attempt", step.attempt());
  say(span, "troupe.node", step.node());
  say(span, "gen_ai.request.model", story_.model);
  if (step.tokens() > 0) say(span, "troupe.forced_tokens", step.tokens());
}

void span_builder::first_token(const proto::ObserveStep& step) {
  if (attempt_) {
    first_token_at_ = step.at_us();
    note(spans_[*attempt_], wall(step.at_us()), "first_token", {});
  }
  if (recovery_) close(*recovery_, step.at_us());
  recovery_.reset();
}

void span_builder::attempt_ended(const proto::ObserveStep& step) {
  if (!attempt_) return;
  const place attempt = *attempt_;
  attempt_.reset();
  const proto::WorkerTimes& told = step.worker();
  const std::uint64_t waited = told.queue_us() + told.prefill_us();
  const std::uint64_t all = step.at_us() - std::min(step.at_us(), attempt_at_);
  const std::uint64_t before_first =
      first_token_at_ > attempt_at_ ? first_token_at_ - attempt_at_ : all;
  const std::uint64_t way = before_first > waited ? before_first - waited : 0;
  std::uint64_t at = attempt_at_;
  const auto part = [&](const char* name, std::uint64_t lasts) {
    const place which = open(name, at, spans_[attempt].node(), attempt);
    at = std::min(at + lasts, step.at_us());
    close(which, at);
    return which;
  };
  part("link", way);
  part("queue", told.queue_us());
  const place prefill = part("prefill", told.prefill_us());
  say(spans_[prefill], "troupe.prefix_tokens", told.prefix_tokens());
  part("decode", told.decode_us());
  proto::Span& span = spans_[attempt];
  say(span, "gen_ai.usage.output_tokens", step.tokens());
  say(span, "troupe.numerics_class", told.numerics_class());
  say(span, "troupe.engine", told.engine());
  if (told.batches() > 0) {
    say(span, "troupe.batches", told.batches());
    proto::SpanAttribute& mean = *span.add_attributes();
    mean.set_key("troupe.batch_mean");
    mean.set_real(static_cast<double>(told.batch_mean()));
  }
  close(attempt, step.at_us());
}

void span_builder::attempt_failed(const proto::ObserveStep& step) {
  close_phase(step.at_us(), step.error().message());
  if (attempt_) {
    say(spans_[*attempt_], "gen_ai.usage.output_tokens", step.tokens());
    close(*attempt_, step.at_us(), step.error().message());
    attempt_.reset();
  } else {
    note_root(step.at_us(), "attempt_failed", step.error().message());
  }
  if (!recovery_) {
    recovery_ = open("recovery", step.at_us(), story_.gateway);
    say(spans_[*recovery_], "troupe.because", step.error().message());
    say(spans_[*recovery_], "troupe.held_tokens", step.tokens());
  }
}

void span_builder::take(const proto::ObserveStep& step) {
  switch (step.kind()) {
    case proto::STEP_TAKEN:
      say(spans_[0], "troupe.tenant", step.tenant());
      return note_root(step.at_us(), "taken", step.because());
    case proto::STEP_TOKENISE:
      return begin_phase("tokenise", step);
    case proto::STEP_ACCEPTED:
      close_phase(step.at_us());
      say(spans_[0], "gen_ai.usage.input_tokens", step.tokens());
      return note_root(step.at_us(), "accepted", step.because());
    case proto::STEP_ROUTED:
      begin_phase("route", step);
      say(spans_[*phase_], "troupe.node", step.node());
      return close_phase(step.at_us());
    case proto::STEP_LOOK_UP:
      return begin_phase("cache", step);
    case proto::STEP_CACHE_MISSED:
    case proto::STEP_CACHE_HIT:
      if (phase_)
        say(spans_[*phase_], "troupe.cache",
            step.kind() == proto::STEP_CACHE_HIT ? std::string("hit") : std::string("miss"));
      return close_phase(step.at_us());
    case proto::STEP_LOAD:
      return begin_phase("load", step);
    case proto::STEP_LOADED:
      return close_phase(step.at_us());
    case proto::STEP_ATTEMPT:
      return begin_attempt(step);
    case proto::STEP_FIRST_TOKEN:
      return first_token(step);
    case proto::STEP_ATTEMPT_ENDED:
      return attempt_ended(step);
    case proto::STEP_ATTEMPT_FAILED:
      return attempt_failed(step);
    case proto::STEP_WAITING:
      return begin_phase("wait", step);
    case proto::STEP_REFUSED:
      spans_[0].set_error(step.error().message());
      return note_root(step.at_us(), "refused", step.error().message());
    case proto::STEP_ABANDONED:
      return note_root(step.at_us(), "abandoned", step.because());
    case proto::STEP_DETACHED:
      return note_root(step.at_us(), "client_gone", step.because());
    case proto::STEP_ATTACHED:
      return note_root(step.at_us(), "client_back", step.because());
    default:
      return;
  }
}

void span_builder::close_root() {
  proto::Span& root = spans_[0];
  std::string error = root.error();
  if (story_.finished) {
    const proto::JobFinished& end = *story_.finished;
    if (end.reason() == proto::FAILED) error = end.error().message();
    const proto::Provenance& origin = end.provenance();
    say(root, "gen_ai.response.finish_reason", proto::FinishReason_Name(end.reason()));
    say(root, "gen_ai.usage.output_tokens", end.answer_tokens());
    say(root, "troupe.node", origin.worker_node());
    say(root, "troupe.numerics_class", origin.numerics_class());
    say(root, "troupe.source", proto::AnswerSource_Name(origin.source()));
    say(root, "troupe.attempts", origin.attempts());
  }
  const bool lasts = !story_.ended();
  const std::uint64_t end = lasts ? now_ : story_.ended_us;
  for (place i = 0; i < spans_.size(); ++i) {
    if (!spans_[i].lasts()) continue;
    close(i, end, i == 0 ? error : std::string());
    spans_[i].set_lasts(lasts);
  }
}

}  // namespace

std::vector<proto::Span> spans_of(const job_story& story, std::uint64_t now_us,
                                  std::int64_t wall_offset_us) {
  return span_builder(story, now_us, wall_offset_us).build();
}

}  // namespace troupe
