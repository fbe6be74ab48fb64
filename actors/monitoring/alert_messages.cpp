#include "actors/monitoring/alert_messages.hpp"

#include <cstdio>
#include <ctime>

namespace troupe {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string rfc3339(std::uint64_t us) {
  const std::time_t second = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&second, &parts);
  char text[40], whole[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(whole, sizeof whole, "%s.%03uZ", text, static_cast<unsigned>(us / 1000 % 1000));
  return whole;
}

}  // namespace

const char* severity_name(proto::Severity severity) {
  switch (severity) {
    case proto::SEVERITY_INFORMATION:
      return "information";
    case proto::SEVERITY_CRITICAL:
      return "critical";
    default:
      return "warning";
  }
}

std::string webhook_body(const std::vector<proto::Alert>& alerts) {
  std::string out = "{\"alerts\":[";
  for (const proto::Alert& alert : alerts) {
    if (out.back() == '}') out += ',';
    out += "{\"name\":" + quoted(alert.name()) + ",\"severity\":\"" +
           severity_name(alert.severity()) + "\",\"state\":\"" +
           (alert.ended_us() == 0 ? "lasts" : "ended") + "\",\"node\":" + quoted(alert.node()) +
           ",\"subject\":" + quoted(alert.subject()) + ",\"incident\":" + quoted(alert.incident()) +
           ",\"text\":" + quoted(alert.text()) + ",\"value\":" + number(alert.value()) +
           ",\"limit\":" + number(alert.limit()) +
           ",\"signals\":" + std::to_string(alert.signals()) + ",\"since\":\"" +
           rfc3339(alert.since_us()) + "\"" +
           (alert.ended_us() == 0 ? "" : ",\"until\":\"" + rfc3339(alert.ended_us()) + "\"") + "}";
  }
  return out + "]}";
}

std::string alertmanager_body(const std::vector<proto::Alert>& alerts) {
  std::string out = "[";
  for (const proto::Alert& alert : alerts) {
    if (out.back() == '}') out += ',';
    out += "{\"labels\":{\"alertname\":" + quoted("troupe_" + alert.name()) + ",\"severity\":\"" +
           severity_name(alert.severity()) + "\",\"node\":" + quoted(alert.node()) +
           ",\"subject\":" + quoted(alert.subject()) +
           "},\"annotations\":{\"summary\":" + quoted(alert.text()) +
           ",\"incident\":" + quoted(alert.incident()) +
           ",\"value\":" + quoted(number(alert.value())) +
           ",\"limit\":" + quoted(number(alert.limit())) + "},\"startsAt\":\"" +
           rfc3339(alert.since_us()) + "\"" +
           (alert.ended_us() == 0 ? "" : ",\"endsAt\":\"" + rfc3339(alert.ended_us()) + "\"") + "}";
  }
  return out + "]";
}

std::string log_line_of(const proto::Alert& alert) {
  return std::string(alert.ended_us() == 0 ? "alert_raised" : "alert_ended") +
         " name=" + alert.name() + " severity=" + severity_name(alert.severity()) +
         " subject=" + alert.subject() + " incident=" + alert.incident() +
         " value=" + number(alert.value()) + " limit=" + number(alert.limit()) +
         " signals=" + std::to_string(alert.signals()) + " text=\"" + alert.text() + "\"";
}

}  // namespace troupe
