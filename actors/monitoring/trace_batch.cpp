#include "actors/monitoring/trace_batch.hpp"

#include <algorithm>
#include <utility>

#include "actors/monitoring/story_spans.hpp"

namespace troupe {
namespace {

constexpr std::size_t parcels_max = 64;  // that wait for the next tick

std::string big_endian(std::uint64_t number) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i)
    out[static_cast<std::size_t>(i)] = static_cast<char>(number >> (56 - 8 * i));
  return out;
}

void say(otlp::KeyValue& to, const std::string& key, const std::string& text) {
  to.set_key(key);
  to.mutable_value()->set_string_value(text);
}

void write(const proto::Span& from, std::uint32_t flags, otlp::Span& to) {
  to.set_trace_id(big_endian(from.trace_high()) + big_endian(from.trace_low()));
  to.set_span_id(big_endian(from.id()));
  if (from.parent() != 0) to.set_parent_span_id(big_endian(from.parent()));
  to.set_name(from.name());
  to.set_kind(from.name() == "request"   ? otlp::SPAN_KIND_SERVER
              : from.name() == "attempt" ? otlp::SPAN_KIND_CLIENT
                                         : otlp::SPAN_KIND_INTERNAL);
  to.set_start_time_unix_nano(from.start_us() * 1000);
  to.set_end_time_unix_nano((from.start_us() + from.duration_us()) * 1000);
  say(*to.add_attributes(), "troupe.where", from.node());
  for (const proto::SpanAttribute& attribute : from.attributes()) {
    otlp::KeyValue& out = *to.add_attributes();
    out.set_key(attribute.key());
    switch (attribute.value_case()) {
      case proto::SpanAttribute::kNumber:
        out.mutable_value()->set_int_value(attribute.number());
        break;
      case proto::SpanAttribute::kReal:
        out.mutable_value()->set_double_value(attribute.real());
        break;
      case proto::SpanAttribute::kFlag:
        out.mutable_value()->set_bool_value(attribute.flag());
        break;
      default:
        out.mutable_value()->set_string_value(attribute.text());
    }
  }
  for (const proto::SpanEvent& event : from.events()) {
    otlp::Event& out = *to.add_events();
    out.set_time_unix_nano(event.at_us() * 1000);
    out.set_name(event.name());
    if (!event.text().empty()) say(*out.add_attributes(), "troupe.text", event.text());
  }
  to.mutable_status()->set_code(from.error().empty() ? otlp::STATUS_CODE_OK
                                                     : otlp::STATUS_CODE_ERROR);
  to.mutable_status()->set_message(from.error());
  if (!from.error().empty()) {
    otlp::Event& out = *to.add_events();
    out.set_time_unix_nano(to.end_time_unix_nano());
    out.set_name("exception");
    say(*out.add_attributes(), "exception.message", from.error());
  }
  to.set_flags(flags | 1u);
}

}  // namespace

bool trace_batch::keeps(const job_story& story) const {
  const auto slow = std::chrono::duration_cast<std::chrono::microseconds>(settings_.slow).count();
  if (story.failed() || story.went_on_elsewhere() ||
      story.lasted_us() >= static_cast<std::uint64_t>(slow) || (story.trace.flags() & 1u))
    return true;
  // By the trace's low 56 bits, which a trace id draws at random.
  constexpr double all = 72057594037927936.0;
  const double place = static_cast<double>(story.trace.trace_low() & ((1ull << 56) - 1)) / all;
  return place < settings_.ratio;
}

void trace_batch::add(const job_story& story, std::int64_t wall_offset_us) {
  const std::vector<proto::Span> spans = spans_of(story, story.ended_us, wall_offset_us);
  if (!keeps(story)) {
    sampled_out_ += spans.size();
    return;
  }
  if (static_cast<std::size_t>(spans_.spans_size()) >= 4 * settings_.batch_spans_max) {
    sampled_out_ += spans.size();  // more than a tick can take
    return;
  }
  kept_ += spans.size();
  if (settings_.collector.empty()) return;
  for (const proto::Span& span : spans) write(span, story.trace.flags(), *spans_.add_spans());
  if (static_cast<std::size_t>(spans_.spans_size()) >= settings_.batch_spans_max &&
      full_.size() < parcels_max)
    full_.push_back(close());
}

trace_batch::parcel trace_batch::close() {
  otlp::ExportTraceServiceRequest request;
  otlp::ResourceSpans& resource = *request.add_resource_spans();
  auto& attributes = *resource.mutable_resource();
  say(*attributes.add_attributes(), "service.name", "troupe");
  say(*attributes.add_attributes(), "service.instance.id", node_);
  say(*attributes.add_attributes(), "service.version", version_);
  parcel out;
  out.spans = static_cast<std::uint64_t>(spans_.spans_size());
  otlp::ScopeSpans& scope = *resource.add_scope_spans();
  scope.Swap(&spans_);
  scope.mutable_scope()->set_name("troupe.monitoring");
  out.body = request.SerializeAsString();
  return out;
}

std::vector<trace_batch::parcel> trace_batch::take_due(time_point_us now) {
  std::vector<parcel> out = std::exchange(full_, {});
  if (now - flushed_at_ < settings_.flush_every && out.empty()) return out;
  flushed_at_ = now;
  if (spans_.spans_size() > 0) out.push_back(close());
  return out;
}

}  // namespace troupe
