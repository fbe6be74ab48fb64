// The parts that the membership is made of: detector, own health, pace of checks, addresses.
#include <doctest/doctest.h>

#include <algorithm>

#include "cluster/membership/accrual_detector.hpp"
#include "cluster/membership/address_book.hpp"
#include "cluster/membership/check_pace.hpp"
#include "cluster/membership/local_health.hpp"
#include "cluster/node/machine_readings.hpp"

using namespace troupe;
using namespace troupe::cluster;

namespace {

time_point_us ms(int count) {
  return std::chrono::milliseconds(count);
}

// The slow twin: the chance of a later beat, by adding up the normal distribution's tail.
double phi_by_sum(double silence, double mean, double deviation) {
  double tail = 0;
  const double step = deviation / 500;
  for (double x = silence; x < std::max(silence, mean) + 12 * deviation; x += step) {
    const double y = (x + step / 2 - mean) / deviation;
    tail += std::exp(-y * y / 2) / (deviation * std::sqrt(2 * 3.14159265358979)) * step;
  }
  return -std::log10(tail);
}

struct book {
  address_book it{"m", {"tcp://configured"}};
  std::set<std::string> linked, used;
  time_point_us now{};
  address_book::decisions look(const std::vector<known_node>& mentioned) {
    return it.look(
        mentioned, [&](const std::string& name) { return linked.contains(name); },
        [&](const std::string& address) { return used.contains(address); }, now);
  }
};

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("phi is the tail of the normal distribution, as adding it up gives it") {
  accrual_detector detector(ms(250));
  for (const int interval : {250, 240, 300, 200, 260, 330, 170, 250}) detector.add(ms(interval));
  double mean = 0, squares = 0;
  for (const double x : {250., 250., 240., 300., 200., 260., 330., 170., 250.}) mean += x / 9;
  for (const double x : {250., 250., 240., 300., 200., 260., 330., 170., 250.})
    squares += (x - mean) * (x - mean) / 9;
  const double deviation = std::max(50.0, std::sqrt(squares));
  for (const int silence : {300, 1'000, 1'250, 1'300, 1'400, 1'500, 1'540}) {
    const double twin = phi_by_sum(silence, mean + 1'000, deviation);
    CHECK(std::abs(detector.phi(ms(silence), ms(1'000)) - twin) < 0.01 * std::max(1.0, twin));
  }
}

TEST_CASE("the verdict comes after a second and a half, later where a peer is known to be uneven") {
  accrual_detector even(ms(250)), uneven(ms(250));
  for (int i = 0; i < 40; ++i) even.add(ms(250)), uneven.add(ms(i % 2 ? 100 : 400));
  const auto decided = [](const accrual_detector& of) {
    int silence = 0;
    while (of.phi(ms(silence), ms(1'000)) < accrual_detector::verdict) ++silence;
    return silence;
  };
  CHECK(decided(even) > 1'500);
  CHECK(decided(even) < 1'550);
  CHECK(decided(uneven) > 2'000);
  for (int i = 0; i < 40; ++i) uneven.add(ms(250));  // what was long ago is forgotten
  CHECK(decided(uneven) == decided(even));
}

TEST_CASE("a node's own lateness adds up, is bounded, and is forgotten as its ticks are punctual") {
  local_health health(ms(60), ms(250));
  time_point_us now{};
  const auto tick = [&](int after) { return health.tick(now += ms(after)); };
  CHECK(tick(0).count() == 0);
  for (int i = 0; i < 10; ++i) CHECK(tick(60 + i).count() == 0);
  CHECK(health.factor() == 1);
  CHECK(tick(60 + 130) == ms(130));
  CHECK(health.score() == 1);
  CHECK(tick(60 + 600) == ms(600));
  CHECK(health.score() == 4);
  tick(60'000);
  CHECK(health.score() == local_health::score_max);
  CHECK(health.factor() == 1 + local_health::score_max);
  for (int i = 0; i < 17; ++i) tick(60);
  CHECK(health.score() == local_health::score_max - 1);
  for (int i = 0; i < 200; ++i) tick(60);
  CHECK(health.score() == 0);
}

TEST_CASE("what is steady is looked at ever more seldom, what changed or is wrong each second") {
  check_pace pace;
  CHECK(pace.due(ms(0)));
  pace.looked(ms(0));
  CHECK(!pace.due(ms(999)));
  CHECK(pace.due(ms(1'000)));
  for (const int seconds : {2, 4, 8, 16, 32, 60, 60}) {
    pace.found(true);
    CHECK(pace.wait() == ms(1'000 * seconds));
  }
  pace.looked(ms(5'000));
  CHECK(!pace.due(ms(64'999)));
  pace.found(false);
  CHECK(pace.due(ms(6'000)));
}

TEST_CASE("addresses that linked nodes name are dialled once: at once by the smaller name") {
  book b;
  CHECK(b.look({{"z", "tcp://z"}, {"z", "tcp://z"}}).dial == list{"tcp://z"});
  CHECK(b.look({{"z", "tcp://z"}}).dial.empty());
  CHECK(b.look({{"a", "tcp://a"}}).dial.empty());
  b.now += address_book::first_wait;
  CHECK(b.look({{"a", "tcp://a"}}).dial == list{"tcp://a"});
  b.linked = {"b"};  // came by itself
  b.now += address_book::first_wait;
  CHECK(b.look({{"b", "tcp://b"}}).dial.empty());
  b.linked.clear();  // and went
  b.now += address_book::first_wait;
  CHECK(b.look({}).dial == list{"tcp://b"});
}

TEST_CASE("the own, the configured, and what is no address are not dialled") {
  book b;
  b.it.own_address("tcp://me");
  b.now = ms(10'000);
  for (int i = 0; i < 3; ++i, b.now += ms(2'000))
    CHECK(b.look({{"x", "tcp://me"},
                  {"m", "tcp://other"},
                  {"c", "tcp://configured"},
                  {"n", "nonsense"},
                  {"e", ""},
                  {"", "tcp://y"},
                  {"l", "tcp://" + std::string(300, 'l')}})
              .dial.empty());
  CHECK(b.it.size() == 0);
}

TEST_CASE("what nobody names any more is given up in time, and at once where the node has left") {
  book b;
  b.look({{"z", "tcp://z"}, {"y", "tcp://y"}});
  b.it.forget("y");
  CHECK(b.look({{"z", "tcp://z"}}).hang_up == list{"tcp://y"});
  b.now += address_book::kept_for;
  CHECK(b.look({}).hang_up.empty());
  b.now += ms(1);
  CHECK(b.look({}).hang_up == list{"tcp://z"});
  CHECK(b.it.size() == 0);
}

TEST_CASE("a wrong address costs a dial: the name's true one is taken when the wrong one is gone") {
  book b;
  CHECK(b.look({{"z", "tcp://wrong"}}).dial == list{"tcp://wrong"});
  CHECK(b.look({{"z", "tcp://wrong"}, {"z", "tcp://right"}}).dial.empty());
  const auto decided = b.look({{"z", "tcp://right"}});
  CHECK(decided.hang_up == list{"tcp://wrong"});
  CHECK(decided.dial == list{"tcp://right"});
}

TEST_CASE("an address on which a session stands, or that is another's too, is not hung up") {
  book b;
  CHECK(b.look({{"z", "tcp://y"}, {"y", "tcp://y"}}).dial.size() ==
        2);  // z lies; the link dials once
  b.linked = {"y"};
  b.used = {"tcp://y"};
  b.it.forget("z");
  CHECK(b.look({{"y", "tcp://y"}}).hang_up.empty());
  b.used.clear();
  b.linked.clear();
  b.it.forget("y");
  CHECK(b.look({}).hang_up == list{"tcp://y"});
}

TEST_CASE("no more addresses are learnt than there is room for") {
  book b;
  std::vector<known_node> many;
  for (int i = 0; i < 500; ++i)
    many.push_back({"x" + std::to_string(i), "tcp://x" + std::to_string(i)});
  CHECK(b.look(many).dial.size() == address_book::book_max);
  CHECK(b.it.size() == address_book::book_max);
}

TEST_CASE("a node that listens everywhere tells an address that can be dialled") {
  const list home = {"192.168.1.10", "10.0.0.1"};
  CHECK(address_to_tell("tcp://0.0.0.0:7411", home) == "tcp://192.168.1.10:7411");
  CHECK(address_to_tell("tcp://*:7411", home) == "tcp://192.168.1.10:7411");
  CHECK(address_to_tell("tcp://[::]:7411", home) == "tcp://192.168.1.10:7411");
  CHECK(address_to_tell("tcp://127.0.0.1:7411", home) == "tcp://127.0.0.1:7411");
  CHECK(address_to_tell("tcp://0.0.0.0:7411", {}) == "tcp://0.0.0.0:7411");
  for (const std::string& one : interface_addresses()) CHECK(!one.starts_with("127."));
  book b;
  for (int i = 0; i < 2; ++i) {
    CHECK(b.look({{"z", "tcp://0.0.0.0:7411"}}).dial.empty());
    b.now += address_book::first_wait;
  }
}
