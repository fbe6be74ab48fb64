#include <doctest/doctest.h>

#include <cmath>

#include "actors/monitoring/sliding_sketch.hpp"

using namespace troupe;

TEST_CASE("a cluster's P99 comes from all values together, not from the nodes' P99s") {
  quantile_sketch busy, idle, both;
  for (int i = 0; i < 990; ++i) busy.add(0.1);
  for (int i = 0; i < 10; ++i) busy.add(0.2);
  for (int i = 0; i < 10; ++i) idle.add(5.0);  // a slow node with little work
  REQUIRE(both.merge(busy));
  REQUIRE(both.merge(idle));
  const double average = (busy.quantile(0.99) + idle.quantile(0.99)) / 2;
  CHECK(average > 2.0);
  CHECK(both.quantile(0.99) == doctest::Approx(0.2).epsilon(0.011));
}

TEST_CASE("what is older than the window does not count, and senseless values never do") {
  sliding_sketch h{time_point_us{60'000'000}};
  h.add(5, time_point_us{1});
  h.add(std::nan(""), time_point_us{1});
  h.add(-1, time_point_us{1});
  CHECK(h.read(time_point_us{1}).count() == 1);
  CHECK(h.read(time_point_us{49'000'000}).count() == 1);
  CHECK(h.read(time_point_us{61'000'000}).count() == 0);
  h.add(7, time_point_us{61'000'000});
  CHECK(h.read(time_point_us{61'000'000}).max() == 7);
}

TEST_CASE("a sketch holds zeros, the tiny and the huge, and merges only with its own kind") {
  quantile_sketch s;
  s.add(0, 3);
  s.add(1e-9);
  s.add(1e12);
  s.add(std::numeric_limits<double>::infinity());
  CHECK(s.count() == 6);
  CHECK(s.quantile(0.5) == 0);
  proto::Sketch told;
  s.write(told);
  CHECK(told.counts_size() == 1);
  CHECK_FALSE(s.merge(quantile_sketch(0.05)));
  CHECK(s.count() == 6);
}

TEST_CASE("a sketch of a hostile size or place is refused") {
  proto::Sketch told;
  told.set_relative_error(0.01);
  told.set_count(1);
  told.set_max(1);
  told.set_first(2'000'000'000);
  told.add_counts(1);
  CHECK_FALSE(quantile_sketch::read(told).has_value());
  told.set_first(0);
  CHECK(quantile_sketch::read(told).has_value());
  told.set_relative_error(std::nan(""));
  CHECK_FALSE(quantile_sketch::read(told).has_value());
  told.set_relative_error(0.01);
  for (int i = 0; i < 5000; ++i) told.add_counts(0);
  CHECK_FALSE(quantile_sketch::read(told).has_value());
}

TEST_CASE("a sketch counts what lies at or below a limit, to within its error") {
  quantile_sketch s;
  for (int ms = 1; ms <= 1000; ++ms) s.add(ms / 1000.0);
  CHECK(s.count_up_to(0.5) >= 485);
  CHECK(s.count_up_to(0.5) <= 510);
  CHECK(s.count_up_to(1.0) == 1000);
  CHECK(s.count_up_to(0) == 0);
}
