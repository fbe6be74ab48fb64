#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "actors/monitoring/sliding_sketch.hpp"

using namespace troupe;

namespace {

// Seconds from a millisecond's part to hours, as latencies spread: by their logarithm.
std::vector<double> drawn_values(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 draw(seed);
  std::uniform_real_distribution<double> exponent(-5.5, 4.5);
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(std::pow(10.0, exponent(draw)));
  return out;
}

double exact(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double wanted = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(wanted, 1.0)) - 1];
}

std::string bytes_of(const quantile_sketch& sketch) {
  proto::Sketch out;
  sketch.write(out);
  out.set_sum(0);  // additions of floating point depend on their order
  return out.SerializeAsString();
}

}  // namespace

TEST_CASE("a sketch's percentile is within its relative error of the exact one") {
  CHECK(rc::check([] {
    const auto count = *rc::gen::inRange<std::size_t>(1, 3000);
    const auto values = drawn_values(count, *rc::gen::arbitrary<std::uint64_t>());
    quantile_sketch sketch;
    for (const double value : values) sketch.add(value);
    for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const double truth = exact(values, share), told = sketch.quantile(share);
      RC_ASSERT(std::fabs(told - truth) <= truth * quantile_sketch::usual_error * 1.000001);
    }
    RC_ASSERT(sketch.count() == values.size());
  }));
}

TEST_CASE("merging sketches is the sketch of the union, in any order and any grouping") {
  CHECK(rc::check([] {
    const auto parts = *rc::gen::inRange<std::size_t>(1, 6);
    quantile_sketch whole;
    std::vector<quantile_sketch> sketches(parts);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    for (std::size_t part = 0; part < parts; ++part) {
      const auto count = *rc::gen::inRange<std::size_t>(0, 400);
      for (const double value : drawn_values(count, seed + part)) {
        whole.add(value);
        sketches[part].add(value);
      }
    }
    quantile_sketch forward, backward, pairs;
    for (const auto& sketch : sketches) RC_ASSERT(forward.merge(sketch));
    for (auto at = sketches.rbegin(); at != sketches.rend(); ++at) RC_ASSERT(backward.merge(*at));
    for (std::size_t i = 0; i < parts; i += 2) {
      quantile_sketch pair = sketches[i];
      if (i + 1 < parts) RC_ASSERT(pair.merge(sketches[i + 1]));
      RC_ASSERT(pairs.merge(pair));
    }
    for (const double share : {0.5, 0.95, 0.99}) {
      RC_ASSERT(forward.quantile(share) == whole.quantile(share));
      RC_ASSERT(backward.quantile(share) == whole.quantile(share));
      RC_ASSERT(pairs.quantile(share) == whole.quantile(share));
    }
    if (whole.count() > 0) {
      quantile_sketch again;
      RC_ASSERT(again.merge(whole));
      RC_ASSERT(bytes_of(again) == bytes_of(whole));
    }
  }));
}

TEST_CASE("a sketch that crossed a link is the same, and a broken one is refused") {
  CHECK(rc::check([] {
    quantile_sketch sketch;
    for (const double value :
         drawn_values(*rc::gen::inRange<std::size_t>(1, 300), *rc::gen::arbitrary<std::uint64_t>()))
      sketch.add(value);
    proto::Sketch told;
    sketch.write(told);
    RC_ASSERT(told.counts_size() <= 2048);
    const auto read = quantile_sketch::read(told);
    RC_ASSERT(read.has_value());
    RC_ASSERT(bytes_of(*read) == bytes_of(sketch));
    told.set_count(told.count() + 1);
    RC_ASSERT(!quantile_sketch::read(told).has_value());
  }));
}
