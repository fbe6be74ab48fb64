#include <doctest/doctest.h>

#include <cmath>

#include "actors/monitoring/history.hpp"
#include "actors/monitoring/job_rates.hpp"
#include "actors/monitoring/node_rates.hpp"

using namespace troupe;

namespace {

proto::NodeHistory told(const history& of, std::uint32_t seconds = 0) {
  proto::ReadHistory asked;
  asked.set_seconds(seconds);
  proto::NodeHistory out;
  of.write(asked, 1'000'000'000, out);
  return out;
}

const proto::Series& series_of(const proto::NodeHistory& history, const std::string& name) {
  for (const proto::Series& series : history.series())
    if (series.name() == name) return series;
  FAIL("no series " << name);
  return history.series(0);
}

constexpr std::int64_t second = 1'000'000;

}  // namespace

TEST_CASE("history keeps a quarter of an hour in steps, newest last") {
  history h;
  for (int step = 0; step < 1000; ++step) {
    const time_point_us now{step * 2 * second};
    REQUIRE(h.due(now));
    h.add({{"a", "1", static_cast<double>(step)}}, now);
    REQUIRE_FALSE(h.due(now + time_point_us{second}));
  }
  const proto::NodeHistory all = told(h);
  CHECK(all.step_ms() == 2000);
  CHECK(all.end_us() == 999 * 2 * second + 1'000'000'000);
  const proto::Series& a = series_of(all, "a");
  REQUIRE(a.values_size() == 450);
  CHECK(a.values(449) == 999);
  CHECK(a.values(0) == 550);
  CHECK(series_of(told(h, 60), "a").values_size() == 30);
}

TEST_CASE("history shows as holes the steps at which nothing was measured") {
  history h;
  h.add({{"a", "1", 1}, {"b", "1", 5}}, time_point_us{0});
  h.add({{"a", "1", 2}}, time_point_us{8 * second});
  const proto::NodeHistory shown = told(h);
  const proto::Series &a = series_of(shown, "a"), &b = series_of(shown, "b");
  REQUIRE(a.values_size() == 5);
  CHECK(a.values(0) == 1);
  CHECK(std::isnan(a.values(1)));
  CHECK(std::isnan(a.values(3)));
  CHECK(a.values(4) == 2);
  CHECK(std::isnan(b.values(4)));
}

TEST_CASE("history is bounded in series, and a standstill of a year in values") {
  history h;
  std::vector<series_value> many;
  for (int i = 0; i < 100; ++i) many.push_back({"s" + std::to_string(i), "1", 1});
  h.add(many, time_point_us{0});
  h.add(many, time_point_us{std::int64_t{365} * 86'400 * second});
  const proto::NodeHistory shown = told(h);
  CHECK(shown.series_size() == static_cast<int>(telemetry::history_series_max));
  CHECK(shown.series(0).values_size() == static_cast<int>(telemetry::history_values_max));
}

TEST_CASE("rates are of the time between two readings, and a counter that began again is none") {
  node_rates rates;
  proto::NodeStatus status;
  status.mutable_jobs()->set_answer_tokens_taken(100);
  proto::LinkStatus& link = *status.add_links();
  link.set_peer("b");
  link.set_bytes_sent(1000);
  rates.feed(status, time_point_us{0});
  status.mutable_jobs()->set_answer_tokens_taken(300);
  link.set_bytes_sent(5000);
  rates.feed(status, time_point_us{2 * second});
  CHECK(rates.tokens_per_second() == doctest::Approx(100));
  proto::NodeStatus shown = status;
  rates.write(shown);
  CHECK(shown.links(0).bytes_sent_per_second() == doctest::Approx(2000));
  link.set_bytes_sent(10);
  rates.feed(status, time_point_us{4 * second});
  rates.write(shown);
  CHECK(shown.links(0).bytes_sent_per_second() == 0);
}

TEST_CASE(
    "a running job's rate is of two readings far enough apart, and an ended job is forgotten") {
  job_rates rates;
  proto::JobsShown shown;
  proto::JobShown& job = *shown.add_jobs();
  job.set_job_id("j");
  job.set_answer_tokens(10);
  rates.feed(shown, time_point_us{0});
  CHECK(rates.of("j") == 0);
  job.set_answer_tokens(50);
  rates.feed(shown, time_point_us{second / 2});
  CHECK(rates.of("j") == 0);  // too soon to say
  job.set_answer_tokens(110);
  rates.feed(shown, time_point_us{2 * second});
  CHECK(rates.of("j") == doctest::Approx(50));
  rates.feed({}, time_point_us{3 * second});
  CHECK(rates.of("j") == 0);
}

TEST_CASE(
    "a job that is seen for the first time has the rate of its life so far, without its wait") {
  job_rates rates;
  proto::JobsShown shown;
  proto::JobShown& job = *shown.add_jobs();
  job.set_job_id("j");
  job.set_answer_tokens(30);
  job.set_age_ms(1'300);
  job.set_queue_us(1'000'000);
  rates.feed(shown, time_point_us{0});
  CHECK(rates.of("j") == doctest::Approx(100));
  job.set_age_ms(1'050);  // too young to say
  rates.feed({}, time_point_us{1});
  rates.feed(shown, time_point_us{2});
  CHECK(rates.of("j") == 0);
}
