#include <doctest/doctest.h>

#include <algorithm>

#include "actors/monitoring/alert_messages.hpp"
#include "actors/monitoring/alert_rules.hpp"
#include "actors/monitoring/objective_book.hpp"

using namespace troupe;
using std::chrono::seconds;

namespace {

alert_settings fitting() {
  alert_settings out;
  out.first_token_max = std::chrono::milliseconds(1'000);
  out.tokens_per_second_min = 10;
  out.holds_for = seconds(0);
  return out;
}

bool has(const std::vector<condition>& found, const std::string& name) {
  return std::any_of(found.begin(), found.end(),
                     [&](const condition& one) { return one.name == name; });
}

std::vector<condition> look(alert_rules& rules, const proto::NodeStatus& status, time_point_us now,
                            double tokens = 100, std::vector<peer_seen> nodes = {}) {
  return rules.look({status, tokens, {}, std::move(nodes), 12}, now);
}

condition lost(const std::string& node) {
  return {node_down, node, proto::SEVERITY_CRITICAL, 0, 1, "node is down", node, true};
}
condition some(const std::string& name, const std::string& subject = "a",
               const std::string& node = {}) {
  return {name, subject, proto::SEVERITY_WARNING, 2, 1, "text", node, false};
}

std::vector<proto::Alert> update(alert_book& book, const std::vector<condition>& now_true,
                                 int second, bool tells = true) {
  return book.update(now_true, tells, 0, seconds(second));
}

}  // namespace

TEST_CASE("property 34: a latency above its threshold is an alert, below it is none") {
  alert_rules rules("a", fitting());
  proto::NodeStatus status;
  auto& first = *status.mutable_jobs()->mutable_first_token_seconds();
  first.set_count(100);
  first.set_p99(0.9);
  CHECK_FALSE(has(look(rules, status, seconds(1)), "latency_high"));
  first.set_p99(1.5);
  const auto found = look(rules, status, seconds(3));
  REQUIRE(has(found, "latency_high"));
  CHECK(found[0].severity == proto::SEVERITY_WARNING);
  first.set_p99(2.5);
  CHECK(look(rules, status, seconds(5))[0].severity == proto::SEVERITY_CRITICAL);
  first.set_count(3);  // too few to say
  CHECK_FALSE(has(look(rules, status, seconds(7)), "latency_high"));
}

TEST_CASE(
    "property 35: a share of failed jobs above its threshold is an alert, of the window only") {
  alert_rules rules("a", fitting());
  proto::NodeStatus status;
  CHECK(look(rules, status, seconds(1)).empty());
  status.mutable_jobs()->set_finished(90);
  status.mutable_jobs()->set_failed(4);
  CHECK_FALSE(has(look(rules, status, seconds(3)), "error_rate_high"));
  status.mutable_jobs()->set_failed(10);
  CHECK(has(look(rules, status, seconds(5)), "error_rate_high"));
  for (int second = 7; second < 140; second += 2) {
    status.mutable_jobs()->set_finished(90 + static_cast<std::uint64_t>(second));
    (void)look(rules, status, seconds(second));
  }
  CHECK_FALSE(has(look(rules, status, seconds(141)), "error_rate_high"));
}

TEST_CASE("property 36: memory above its threshold is an alert") {
  alert_rules rules("a", fitting());
  proto::NodeStatus status;
  status.set_memory_bytes(1000);
  status.set_memory_bytes_used(940);
  CHECK_FALSE(has(look(rules, status, seconds(1)), "memory_high"));
  status.set_memory_bytes_used(960);
  CHECK(has(look(rules, status, seconds(3)), "memory_high"));
}

TEST_CASE(
    "a model that a GPU should compute and does not is an alert, and one that waits for a node") {
  proto::NodeStatus status;
  proto::ModelDescription& model = *status.add_models();
  model.set_name("big");
  model.set_state(proto::READY);
  model.set_engine("cpu");
  alert_settings settings;
  alert_rules plain("a", settings);
  CHECK_FALSE(has(look(plain, status, seconds(1)), "gpu_not_used"));
  settings.expects_gpu = true;
  alert_rules rules("a", settings);
  CHECK(has(look(rules, status, seconds(1)), "gpu_not_used"));
  model.set_engine("cuda");
  CHECK_FALSE(has(look(rules, status, seconds(2)), "gpu_not_used"));
  CHECK_FALSE(has(look(rules, status, seconds(2)), "model_waits"));
  model.set_state(proto::ON_DISK);
  model.set_engine("");
  model.set_load_refusal(proto::WAITS_FOR_NODE);
  model.set_failure("node pc2 is down");
  const auto told = look(rules, status, seconds(3));
  CHECK(has(told, "model_waits"));
  CHECK_FALSE(has(told, "gpu_not_used"));
}

TEST_CASE("property 37: fewer tokens a second than the threshold is an alert while jobs run") {
  alert_rules rules("a", fitting());
  proto::NodeStatus status;
  CHECK_FALSE(has(look(rules, status, seconds(1), 0), "throughput_low"));  // idle
  status.mutable_jobs()->set_running(2);
  CHECK(has(look(rules, status, seconds(3), 4), "throughput_low"));
  CHECK_FALSE(has(look(rules, status, seconds(5), 40), "throughput_low"));
}

TEST_CASE("a threshold of 0 is off") {
  alert_settings off;
  off.first_token_max = {};
  off.error_rate_max = off.memory_share_max = off.tokens_per_second_min = 0;
  off.disk_bytes_min = 0;
  alert_rules rules("a", off);
  proto::NodeStatus status;
  (void)look(rules, status, seconds(1));
  status.set_memory_bytes(10);
  status.set_memory_bytes_used(10);
  status.mutable_machine()->set_disk_bytes(10);
  status.mutable_jobs()->set_running(1);
  status.mutable_jobs()->set_failed(1000);
  status.mutable_jobs()->mutable_first_token_seconds()->set_count(1000);
  status.mutable_jobs()->mutable_first_token_seconds()->set_p99(1000);
  CHECK(look(rules, status, seconds(3), 0).empty());
}

TEST_CASE("a node that was up and is lost is an alert, one that left in order is none") {
  alert_rules rules("a", fitting());
  const proto::NodeStatus status;
  CHECK(look(rules, status, seconds(1), 0, {{"b", true}, {"c", true}, {"d", false}}).empty());
  const auto found = look(rules, status, seconds(3), 0, {{"b", false}, {"c", true}, {"d", false}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].subject == "b");
  peer_seen draining{"c", false, false, true};
  CHECK(look(rules, status, seconds(5), 0, {{"b", true}, draining}).empty());
}

TEST_CASE("property 39: alert storms are rate limited, and a blink is told to nobody") {
  alert_settings settings;
  settings.told_per_minute_max = 10;
  settings.holds_for = seconds(6);
  alert_book book("a", settings);
  std::vector<condition> storm;
  for (int i = 0; i < 200; ++i) storm.push_back(some("x", "subject-" + std::to_string(i)));
  CHECK(update(book, storm, 0).empty());
  CHECK(update(book, {}, 2).empty());  // a blink
  CHECK(book.shown().empty());
  std::size_t told = 0;
  for (int second = 10; second < 60; second += 2) told += update(book, storm, second).size();
  CHECK(told == 10);
  CHECK(book.held_back() == 190);
  CHECK(book.shown().size() == alert_book::shown_max);
}

TEST_CASE("an alert is told once, again only after a while, and when it has ended") {
  alert_settings settings;
  settings.holds_for = seconds(6);
  alert_book book("a", settings);
  std::size_t told = 0;
  for (int second = 0; second < 200; second += 2) told += update(book, {some("x")}, second).size();
  CHECK(told == 1);
  for (int second = 200; second < 300; second += 2)
    told += update(book, {some("x")}, second).size();
  CHECK(told == 2);
  std::vector<proto::Alert> ended;
  for (int second = 300; second < 340; second += 2)
    for (auto& alert : update(book, {}, second)) ended.push_back(alert);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].ended_us() > ended[0].since_us());
  CHECK(book.shown().size() == 1);  // still seen, as ended
}

TEST_CASE("a dead node is one incident, not forty alerts, and one node tells it") {
  alert_settings settings;
  settings.holds_for = seconds(2);
  alert_book teller("a", settings), other("b", settings);
  std::vector<condition> all = {lost("c"), some("link_down", "c", "c"), some("latency_high", "a")};
  for (int i = 0; i < 37; ++i) all.push_back(some("objective_missed", "m" + std::to_string(i)));
  std::vector<proto::Alert> told, told_by_other;
  for (int second = 0; second < 20; second += 2) {
    for (auto& alert : update(teller, all, second, true)) told.push_back(alert);
    for (auto& alert : update(other, all, second, false)) told_by_other.push_back(alert);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].name() == node_down);
  CHECK(told[0].incident() == "node_down:c");
  CHECK(told_by_other.empty());
  for (const proto::Alert& alert : teller.shown()) CHECK(alert.incident() == "node_down:c");
  CHECK(teller.shown()[0].signals() == 40);
  // What begins long after is an alert of its own.
  all.push_back(some("memory_high", "a"));
  told.clear();
  for (int second = 60; second < 70; second += 2)
    for (auto& alert : update(teller, all, second, true)) told.push_back(alert);
  REQUIRE(told.size() == 1);
  CHECK(told[0].name() == "memory_high");
}

TEST_CASE("alerts are bounded, whatever is wrong") {
  alert_book book("a", {});
  for (int second = 0; second < 100; ++second) {
    std::vector<condition> many;
    for (int i = 0; i < 1'000; ++i)
      many.push_back(some("x", std::to_string(second) + "-" + std::to_string(i)));
    (void)update(book, many, second);
  }
  CHECK(book.shown().size() <= alert_book::shown_max);
}

TEST_CASE("what is usual is learned by the hour, and what is far from it is called unusual") {
  seasonal_baseline known;
  int unusual = 0;
  for (int day = 0; day < 5; ++day)
    for (int minute = 0; minute < 24 * 60; ++minute) {
      const int hour = minute / 60;
      const double usual = hour >= 8 && hour < 20 ? 100 : 10;  // a day and a night
      const auto said = known.feed(usual + (minute * 7919 % 11) * 0.3, hour);
      if (day > 1 && said && said->unusual()) ++unusual;
    }
  CHECK(unusual < 5 * 4 * 2);  // only near the two turns, if at all
  CHECK(known.judge(100, 3)->unusual());
  CHECK_FALSE(known.judge(100, 12)->unusual());
  CHECK(known.judge(10, 12)->unusual());
  CHECK(known.judge(10, 12)->score < 0);
}

TEST_CASE(
    "a baseline says nothing before it knows something, and accepts a new normal in the end") {
  seasonal_baseline known;
  for (int i = 0; i < 59; ++i) CHECK_FALSE(known.feed(10 + i % 3, 12).has_value());
  for (int i = 0; i < 20; ++i) (void)known.feed(10 + i % 3, 12);
  REQUIRE(known.feed(50, 12)->unusual());
  for (int i = 0; i < 400; ++i) (void)known.feed(50 + i % 3, 12);
  CHECK_FALSE(known.judge(50, 12)->unusual());
}

TEST_CASE("objectives are by model, in any case of its name, and their budget runs out") {
  objective_book book({{"mixtral", std::chrono::milliseconds(1'500), 0.9}}, std::chrono::hours(1));
  const time_point_us now = seconds(10);
  for (int i = 0; i < 95; ++i)
    book.job_ended("Mixtral-8x7B", std::chrono::milliseconds(900), false, now);
  for (int i = 0; i < 3; ++i)
    book.job_ended("Mixtral-8x7B", std::chrono::milliseconds(1'600), false, now);
  for (int i = 0; i < 2; ++i)
    book.job_ended("Mixtral-8x7B", std::chrono::milliseconds(100), true, now);
  book.job_ended("phi", std::chrono::milliseconds(1), false, now);
  auto told = book.read(now);
  REQUIRE(told.size() == 1);
  CHECK(told[0].jobs() == 100);
  CHECK(told[0].jobs_within() == 95);
  CHECK(told[0].budget_left() == doctest::Approx(0.5));
  told = book.read(now + std::chrono::hours(2));
  CHECK(told[0].jobs() == 0);
  CHECK(told[0].budget_left() == 1);
}

TEST_CASE("alerts are written as JSON that hostile texts do not break") {
  proto::Alert alert;
  alert.set_name("node_down");
  alert.set_text("a \"quoted\" \\ text\nwith a line");
  alert.set_since_us(1'700'000'000'123'000);
  alert.set_severity(proto::SEVERITY_CRITICAL);
  const std::string body = alertmanager_body({alert, alert});
  CHECK(body.find("\\\"quoted\\\" \\\\ text\\u000awith") != std::string::npos);
  CHECK(body.find("},{\"labels\"") != std::string::npos);
  CHECK(body.find("\"startsAt\":\"2023-11-14T22:13:20.123Z\"") != std::string::npos);
  CHECK(body.find("endsAt") == std::string::npos);
  CHECK(webhook_body({alert}).find("\"state\":\"lasts\"") != std::string::npos);
}
