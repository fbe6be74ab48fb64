#include "tools/console/story_lines.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tools/console/words.hpp"

namespace troupe::console {
namespace {

constexpr std::size_t name_width = 20, node_width = 9, duration_width = 8, details_min = 24;

std::string uuid_text(const std::string& id) {
  const std::string hex = hex_text(id);
  if (hex.size() != 32) return hex;
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

std::string value_text(const proto::SpanAttribute& attribute) {
  switch (attribute.value_case()) {
    case proto::SpanAttribute::kText:
      return printable(attribute.text());
    case proto::SpanAttribute::kNumber:
      return std::to_string(attribute.number());
    case proto::SpanAttribute::kReal:
      return rate_text(attribute.real());
    case proto::SpanAttribute::kFlag:
      return attribute.flag() ? "yes" : "no";
    default:
      return "-";
  }
}

const proto::SpanAttribute* attribute_of(const proto::Span& span, const char* key) {
  for (const proto::SpanAttribute& one : span.attributes())
    if (one.key() == key) return &one;
  return nullptr;
}

// What is worth a line: why, then the figures that the field's people look for.
std::string details_of(const proto::Span& span) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (!span.error().empty()) add("FAILED: " + printable(span.error()));
  if (const auto* because = attribute_of(span, "troupe.because"))
    add("because " + value_text(*because));
  const std::pair<const char*, const char*> known[] = {
      {"troupe.cache", "cache "},
      {"troupe.attempt", "attempt "},
      {"troupe.batches", "batches "},
      {"troupe.batch_mean", "mean batch "},
      {"troupe.forced_tokens", "tokens given again "},
      {"troupe.prefix_tokens", "prompt tokens known already "},
      {"troupe.held_tokens", "tokens held "}};
  for (const auto& [key, words] : known)
    if (const auto* found = attribute_of(span, key)) add(words + value_text(*found));
  return out;
}

struct placed_span {
  const proto::Span* span;
  std::size_t depth;
};

std::vector<placed_span> in_order(const proto::JobStory& story) {
  std::multimap<std::uint64_t, const proto::Span*> children;
  std::set<std::uint64_t> known;
  for (const proto::Span& span : story.spans()) known.insert(span.id());
  for (const proto::Span& span : story.spans()) {
    const bool root = span.parent() == span.id() || !known.contains(span.parent());
    children.emplace(root ? 0 : span.parent(), &span);
  }
  std::vector<placed_span> out, open;
  std::set<const proto::Span*> seen;  // spans of others: a ring of parents must not hang us
  const auto push = [&](std::uint64_t parent, std::size_t depth) {
    std::vector<const proto::Span*> level;
    const auto [first, last] = children.equal_range(parent);
    for (auto at = first; at != last; ++at) level.push_back(at->second);
    std::stable_sort(level.begin(), level.end(), [](const auto* left, const auto* right) {
      return left->start_us() > right->start_us();
    });
    for (const proto::Span* one : level) open.push_back({one, depth});
  };
  push(0, 0);
  while (!open.empty()) {
    const placed_span next = open.back();
    open.pop_back();
    if (!seen.insert(next.span).second) continue;
    out.push_back(next);
    if (next.span->id() != 0) push(next.span->id(), next.depth + 1);
  }
  return out;
}

std::string waterfall(const proto::Span& span, std::uint64_t begin, std::uint64_t end,
                      std::size_t width, bool unicode) {
  const double length = static_cast<double>(std::max<std::uint64_t>(end - begin, 1));
  const double from =
      static_cast<double>(span.start_us() - std::min(span.start_us(), begin)) / length;
  const double to = from + static_cast<double>(span.duration_us()) / length;
  const double columns = static_cast<double>(width);
  const auto first =
      std::min(static_cast<std::size_t>(std::clamp(from, 0.0, 1.0) * columns), width - 1);
  const auto last = std::clamp(
      static_cast<std::size_t>(std::ceil(std::clamp(to, 0.0, 1.0) * columns)), first + 1, width);
  std::string out;
  for (std::size_t i = 0; i < width; ++i)
    out += i >= first && i < last ? (unicode ? "█" : "#") : (unicode ? "·" : ".");
  return out;
}

const char* finish_text(proto::FinishReason reason) {
  switch (reason) {
    case proto::END_OF_TEXT:
      return "at the end of the text";
    case proto::STOP_TEXT:
      return "at a stop text";
    case proto::LENGTH:
      return "at the most tokens it might have";
    case proto::CANCELLED_BY_CLIENT:
      return "cancelled by its client";
    case proto::FAILED:
      return "FAILED";
    default:
      return "";
  }
}

void add_head(const proto::JobStory& story, std::vector<line>& out) {
  const proto::JobShown& job = story.job();
  std::string where = printable(job.gateway());
  if (!job.worker().empty()) where += " > " + printable(job.worker());
  out.push_back({{"Job " + uuid_text(job.job_id()), tone::strong},
                 {"  " + printable(job.model()) + "  " + where}});
  if (story.has_finished()) {
    const proto::JobFinished& end = story.finished();
    const bool failed = end.reason() == proto::FAILED;
    std::string text = "Ended " + std::string(finish_text(end.reason())) + ": " +
                       count_text(end.answer_tokens(), "token", "tokens") + ", first token after " +
                       duration_text(static_cast<double>(end.provenance().first_token_us()) / 1e6) +
                       ", all after " +
                       duration_text(static_cast<double>(end.provenance().total_us()) / 1e6);
    if (failed) text += ": " + printable(end.error().message());
    out.push_back({{text, failed ? tone::bad : tone::good}});
  } else {
    out.push_back(
        {{std::string(state_text(job.state())) + ", " + std::to_string(job.answer_tokens()) +
              " of " + std::to_string(job.tokens_max()) + " tokens, " +
              rate_text(job.tokens_per_second()) + " tokens/s, " +
              duration_text(static_cast<double>(job.age_ms()) / 1000) + " old",
          waits(job) ? tone::warn : tone::good}});
  }
  if (!job.because().empty()) out.push_back({{"Because: " + printable(job.because())}});
  if (const std::string longest = longest_part(story); !longest.empty())
    out.push_back({{longest, tone::strong}});
  if (story.age_ms() > 1000)
    out.push_back({{"As it was " + duration_text(static_cast<double>(story.age_ms()) / 1000) +
                        " ago, told by " + printable(story.told_by()),
                    tone::faint}});
  out.push_back({});
}

}  // namespace

std::string longest_part(const proto::JobStory& story) {
  if (story.spans().empty()) return {};
  const proto::Span& root = story.spans(0);
  std::set<std::uint64_t> parents;
  for (const proto::Span& span : story.spans()) parents.insert(span.parent());
  const proto::Span* longest = nullptr;
  for (const proto::Span& span : story.spans())
    if (&span != &root && !parents.contains(span.id()) &&
        (!longest || span.duration_us() > longest->duration_us()))
      longest = &span;
  if (!longest || root.duration_us() == 0) return {};
  std::string out = "Most of its time: " + printable(longest->name());
  if (!longest->node().empty()) out += " at " + printable(longest->node());
  const double part = static_cast<double>(longest->duration_us()) / 1e6,
               whole = static_cast<double>(root.duration_us()) / 1e6;
  return out + ", " + duration_text(part) + " of " + duration_text(whole) + " (" +
         share_text(std::min(part / whole, 1.0)) + ")";
}

std::vector<line> story_lines(const proto::JobStory& story, std::size_t width, bool unicode) {
  std::vector<line> out;
  add_head(story, out);
  if (story.spans().empty()) {
    out.push_back({{"No spans are kept of it.", tone::faint}});
    return out;
  }
  std::uint64_t begin = story.spans(0).start_us(), end = begin;
  for (const proto::Span& span : story.spans()) {
    begin = std::min(begin, span.start_us());
    end = std::max(end, span.start_us() + span.duration_us());
  }
  const std::size_t fixed = name_width + node_width + duration_width + 6;
  const std::size_t rest = width > fixed + details_min ? width - fixed - details_min : 10;
  const std::size_t bar = std::clamp<std::size_t>(rest, 10, 48);
  const std::size_t details = width > fixed + bar + 2 ? width - fixed - bar - 2 : 10;
  for (const placed_span& one : in_order(story)) {
    const proto::Span& span = *one.span;
    const std::string indent(std::min<std::size_t>(one.depth * 2, 12), ' ');
    const tone look = !span.error().empty()       ? tone::bad
                      : span.name() == "recovery" ? tone::warn
                                                  : tone::plain;
    const std::string text = details_of(span);
    std::string how_long = duration_text(static_cast<double>(span.duration_us()) / 1e6);
    if (span.lasts()) how_long = ">" + how_long;
    out.push_back(
        {{padded(indent + printable(span.name()), name_width, false) + "  ",
          look == tone::plain ? tone::strong : look},
         {padded(printable(span.node()), node_width, false) + "  ", tone::faint},
         {waterfall(span, begin, end, bar, unicode), look == tone::plain ? tone::good : look},
         {" " + padded(how_long, duration_width, true) + "  "},
         {cut(text, details), look}});
    // A reason longer than its column goes on below: it is what one came for.
    const std::string below = std::string(indent.size() + 2, ' ');
    if (width_of(text) > details && width > below.size())
      for (const std::string& part : wrapped(text, width - below.size()))
        out.push_back({{below + part, look}});
    for (const proto::SpanEvent& event : span.events()) {
      const double after =
          static_cast<double>(event.at_us() - std::min(event.at_us(), begin)) / 1e6;
      std::string words = below + "+" + duration_text(after) + " " + printable(event.name());
      if (!event.text().empty()) words += ": " + printable(event.text());
      out.push_back({{cut(words, width), tone::faint}});
    }
  }
  if (story.spans_left_out() > 0)
    out.push_back(
        {{count_text(story.spans_left_out(), "span is", "spans are") + " left out.", tone::faint}});
  return out;
}

}  // namespace troupe::console
