#include <doctest/doctest.h>

#include <caf/scheduler/test_coordinator.hpp>
#include <thread>

#include "actors/inference/inference_actor.hpp"
#include "actors/shell/role_actor.hpp"
#include "actors/spawn.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

struct virtual_time : caf::actor_system_config {
  virtual_time() { set("scheduler.policy", caf::atom("testing")); }
};

struct system_under_test {
  virtual_time config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& scheduler =
      dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::shared_ptr<actor_gauge> gauge = std::make_shared<actor_gauge>();
  kept_posts office;
  std::vector<role_handle> handles;

  ~system_under_test() {
    for (const auto& handle : handles) handle.stop();
    scheduler.run();
  }
  role_handle& spawn(std::function<std::unique_ptr<role>(notify_self)> make,
                     std::uint64_t mailbox_max = 0) {
    role_plan plan;
    plan.name = "tested";
    plan.make = std::move(make);
    plan.gauge = gauge;
    plan.mailbox_max = mailbox_max;
    handles.push_back(spawn_role(system, std::move(plan)));
    return handles.back();
  }
};

struct log_of_calls {
  std::vector<std::string> calls;
  int work_left = 0;
};

class recording_role final : public role {
 public:
  recording_role(log_of_calls& log, notify_self notify) : log_(log), notify_(std::move(notify)) {}
  void receive(const envelope_ptr& message, time_point_us) override {
    log_.calls.push_back("message " + std::to_string(message->correlation()));
    if (message->correlation() == 13) throw std::runtime_error("a broken invariant");
    if (message->correlation() == 20) notify_(std::make_shared<node_lost>("n"));
  }
  void notice(const role_event& event, time_point_us) override {
    if (const auto* lost = dynamic_cast<const node_lost*>(&event))
      log_.calls.push_back("lost " + lost->node);
  }
  void tick(time_point_us) override { log_.calls.push_back("tick"); }
  bool has_work() const override { return log_.work_left > 0; }
  void work(time_point_us) override {
    --log_.work_left;
    log_.calls.push_back("work");
  }

 private:
  log_of_calls& log_;
  notify_self notify_;
};

envelope_ptr numbered(std::uint64_t n) {
  return letter("a", "b", "tested", n);
}

class fake_source final : public engine_source {
 public:
  result<made_engine> make(const proto::LoadEngine& wish) override {
    if (wish.path() == "missing") return error{error_code::not_found, "no such file", {}};
    auto engine = std::make_unique<prf_engine>(64, 128);
    letters words;
    auto canary = run_canary(*engine, words, 6);
    if (!canary) return canary.failure();
    made_engine made;
    made.facts = {engine->description(), std::make_shared<letters>(), *canary, 1};
    made.engine = std::move(engine);
    return made;
  }
};

// Tasks wait for the test to run them.
class held_background final : public background {
 public:
  void run(std::function<void()> task) override { tasks.push_back(std::move(task)); }
  std::vector<std::function<void()>> tasks;
};

inference_aside all_at_once() {
  return {std::make_shared<fake_source>(), std::make_unique<background_inline>(),
          std::make_unique<background_inline>()};
}

}  // namespace

TEST_CASE("a role gets messages, batches and events in order, and ticks with the clock") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  const role_handle handle =
      s.spawn([&](notify_self n) { return std::make_unique<recording_role>(log, std::move(n)); });
  CHECK(handle.deliver(numbered(1)));
  CHECK(handle.deliver(std::vector{numbered(2), numbered(3)}));
  CHECK(handle.deliver(std::make_shared<actor_restarted>("x")));
  CHECK(handle.deliver(std::make_shared<node_lost>("peer")));
  CHECK(s.gauge->mailbox_depth() == 5);
  s.scheduler.run();
  CHECK(log.calls == std::vector<std::string>{"message 1", "message 2", "message 3", "lost peer"});
  CHECK(s.gauge->mailbox_depth() == 0);
  CHECK(s.gauge->handled == 5);
  log.calls.clear();
  for (int i = 0; i < 5; ++i) {
    s.scheduler.advance_time(std::chrono::milliseconds{100});
    s.scheduler.run();
  }
  CHECK(log.calls == std::vector<std::string>(5, "tick"));
}

TEST_CASE("work goes on between messages, and messages that have arrived go first") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  const role_handle handle =
      s.spawn([&](notify_self n) { return std::make_unique<recording_role>(log, std::move(n)); });
  log.work_left = 3;
  handle.deliver(numbered(1));
  handle.deliver(numbered(2));
  s.scheduler.run();
  REQUIRE(log.calls.size() == 5);
  CHECK(std::count(log.calls.begin(), log.calls.end(), "work") == 3);
  CHECK(log.calls.back() == "work");
}

TEST_CASE("a report from elsewhere reaches the role through its mailbox") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  const role_handle handle =
      s.spawn([&](notify_self n) { return std::make_unique<recording_role>(log, std::move(n)); });
  handle.deliver(numbered(20));
  s.scheduler.run();
  CHECK(log.calls == std::vector<std::string>{"message 20", "lost n"});
  CHECK(s.gauge->mailbox_depth() == 0);
}

TEST_CASE(
    "an exception ends the actor, monitors hear of it, and a fresh one goes on with the same "
    "gauge") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  const auto make = [&](notify_self n) {
    return std::make_unique<recording_role>(log, std::move(n));
  };
  const role_handle first = s.spawn(make);
  caf::scoped_actor watcher{s.system};
  watcher->monitor(first.actor());
  first.deliver(numbered(13));
  first.deliver(numbered(14));
  s.scheduler.run();
  bool heard_of_it = false;
  watcher->receive([&](const caf::down_msg& down) { heard_of_it = down.reason != caf::none; });
  CHECK(heard_of_it);
  CHECK_FALSE(s.gauge->alive);
  CHECK_FALSE(first.deliver(numbered(15)));
  CHECK(s.gauge->mailbox_depth() == 0);
  const role_handle second = s.spawn(make);
  CHECK(s.gauge->alive);
  CHECK(second.deliver(numbered(16)));
  s.scheduler.run();
  CHECK(log.calls.back() == "message 16");
}

TEST_CASE("a full mailbox refuses and counts, so that a slow reader cannot hold a sender") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  const role_handle handle = s.spawn(
      [&](notify_self n) { return std::make_unique<recording_role>(log, std::move(n)); }, 3);
  for (int i = 0; i < 10; ++i) CHECK(handle.deliver(numbered(1)) == (i < 3));
  CHECK(s.gauge->dropped == 7);
  s.scheduler.run();
  CHECK(handle.deliver(numbered(1)));
}

TEST_CASE("an idle actor runs where a loop runs its lane, and on a worker once that is closed") {
  log_of_calls log;  // outlives the actors
  system_under_test s;
  int wakes = 0;
  loop_lane lane{s.system, [&] { ++wakes; }};
  const role_handle handle =
      s.spawn([&](notify_self n) { return std::make_unique<recording_role>(log, std::move(n)); });
  s.scheduler.run();
  const auto heard = [&] { return std::exchange(log.calls, {}); };

  handle.deliver(numbered(1), &lane);
  handle.deliver(std::vector{numbered(2), numbered(3)}, &lane);
  s.scheduler.run();
  CHECK(heard().empty());
  CHECK(wakes == 1);
  lane.run();
  CHECK(heard() == std::vector<std::string>{"message 1", "message 2", "message 3"});
  lane.run();
  CHECK(heard().empty());

  const std::size_t many = 2 * loop_lane::messages_max + 5;
  for (std::size_t i = 0; i < many; ++i) handle.deliver(numbered(4), &lane);
  CHECK(wakes == 2);
  lane.run();
  CHECK(log.calls.size() <= loop_lane::messages_max);
  CHECK(wakes == 3);  // for what is left
  lane.run();
  lane.run();
  CHECK(heard().size() == many);

  handle.deliver(numbered(5), &lane);
  lane.close();
  handle.deliver(numbered(6), &lane);
  s.scheduler.run();
  CHECK(heard() == std::vector<std::string>{"message 5", "message 6"});
  CHECK(s.gauge->mailbox_depth() == 0);
}

TEST_CASE("the inference actor loads, answers a sequence and reports its load") {
  system_under_test s;
  const auto load = std::make_shared<inference_load>();
  const role_handle handle = s.spawn([&](notify_self n) {
    return std::make_unique<inference_role>(inference_settings{}, s.office, std::move(n),
                                            all_at_once(), load);
  });
  handle.deliver(load_engine_message("model"));
  s.scheduler.run();
  REQUIRE(s.office.posts.size() == 1);
  CHECK(s.office.posts[0]->engine_loaded().canary_ids_size() == 6);
  const job_wish job{.tokens_max = 12};
  handle.deliver(start_message(job));
  s.scheduler.run();
  std::vector<kernels::token_id> ids;
  for (const auto& post : s.office.posts)
    for (const auto id : post->sequence_tokens().ids()) ids.push_back(id);
  CHECK(ids == alone(job, 64, 128).ids);
  CHECK(s.office.posts.back()->has_sequence_finished());
  CHECK(load->running == 0);
  CHECK(load->sequences_of("model") == 0);
  auto missing = load_engine_message("other", 2);
  std::const_pointer_cast<proto::Envelope>(missing)->mutable_load_engine()->set_path("missing");
  handle.deliver(missing);
  s.scheduler.run();
  CHECK(s.office.posts.back()->error().code() == proto::Error::NOT_FOUND);
}

TEST_CASE(
    "a constraint is made on the background of its own, and the actor answers others meanwhile") {
  held_background* constraints = nullptr;
  std::thread::id made_on;
  system_under_test s;
  const role_handle handle = s.spawn([&](notify_self n) {
    inference_aside aside = all_at_once();
    aside.constraints = std::make_unique<held_background>();
    constraints = static_cast<held_background*>(aside.constraints.get());
    aside.compiler = [&](const constraint_wish& wish) {
      made_on = std::this_thread::get_id();
      return make_constraint(wish);
    };
    return std::make_unique<inference_role>(inference_settings{}, s.office, std::move(n),
                                            std::move(aside), nullptr);
  });
  handle.deliver(load_engine_message("model"));
  s.scheduler.run();
  job_wish slow{.id = "slow", .tokens_max = 20, .ignore_end = false};
  slow.schema = R"({"enum": [true, false, null]})";
  const job_wish plain{.id = "plain", .tokens_max = 12};
  handle.deliver(start_message(slow));
  handle.deliver(start_message(plain));
  s.scheduler.run();
  const auto ended = [&](const job_wish& job) {
    return std::any_of(s.office.posts.begin(), s.office.posts.end(), [&](const auto& post) {
      return post->has_sequence_finished() && post->sequence_finished().job_id() == job.id;
    });
  };
  CHECK(ended(plain));
  CHECK_FALSE(ended(slow));
  REQUIRE(constraints->tasks.size() == 1);
  std::thread aside(constraints->tasks[0]);
  const std::thread::id its_own = aside.get_id();
  aside.join();
  CHECK(made_on == its_own);
  s.scheduler.run();
  CHECK(ended(slow));
}

TEST_CASE("the background runs tasks in order and ends with what it runs") {
  std::vector<int> done;
  {
    background_thread aside;
    std::mutex guard;
    std::condition_variable wake;
    bool last = false;
    for (int i = 0; i < 100; ++i)
      aside.run([&, i] {
        const std::lock_guard lock{guard};
        done.push_back(i);
        last = i == 99;
        wake.notify_all();
      });
    std::unique_lock lock{guard};
    wake.wait_for(lock, std::chrono::seconds{60}, [&] { return last; });
  }
  REQUIRE(done.size() == 100);
  CHECK(std::is_sorted(done.begin(), done.end()));
}
