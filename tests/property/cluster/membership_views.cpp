// What a node tells of itself reaches its peers, whatever beats are lost, late or repeated, and
// whichever side starts again. Held against the slow twin: the sender's whole view.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <deque>

#include "cluster/membership/membership_core.hpp"

using namespace troupe;
using namespace troupe::cluster;

namespace {

int below(int end) {
  return *rc::gen::inRange(0, end);
}

proto::ModelDescription random_model() {
  proto::ModelDescription model;
  model.set_name("m" + std::to_string(below(3)));
  model.set_state(static_cast<proto::ModelState>(1 + below(4)));
  return model;
}

// One part of it changes.
void change(node_view& view) {
  switch (below(6)) {
    case 0:
      view.load = {static_cast<std::uint32_t>(below(3)), static_cast<std::uint32_t>(below(3)), 4,
                   below(3) * 0.5};
      return;
    case 1:
      view.draining = !view.draining;
      return;
    case 2:
      if (view.models.empty() || below(2))
        view.models.push_back(random_model());
      else
        view.models.erase(view.models.begin() + below(static_cast<int>(view.models.size())));
      return;
    case 3:
      for (int i = below(8); i >= 0; --i) view.prefixes.push_back(below(40));
      view.prefixes = kept_prefixes(view.prefixes);
      return;
    case 4:
      std::erase_if(view.prefixes, [](std::uint64_t) { return below(3) == 0; });
      return;
    default:
      view.address = below(2) ? "tcp://x" : "";
      view.neighbours.clear();
      for (int i = 0; i < below(4); ++i) view.neighbours.push_back({std::to_string(i), "tcp://"});
  }
}

}  // namespace

TEST_CASE("changes on a version give what the whole gives, for any two views") {
  CHECK(rc::check([] {
    node_view base, view;
    for (int i = below(8); i > 0; --i) change(base);
    view = base;
    for (int i = below(8); i > 0; --i) change(view);
    proto::Heartbeat whole, changes;
    write_whole(view, whole);
    write_changes(base, view, changes);
    RC_ASSERT(read_whole(whole) == view);
    RC_ASSERT(read_changes(base, changes) == view);
    proto::Heartbeat nothing;
    write_changes(view, view, nothing);
    RC_ASSERT(nothing.ByteSizeLong() == 0u);
  }));
}

TEST_CASE(
    "beats lost, late, repeated and out of order: a version held is its content, to the end") {
  CHECK(rc::check([] {
    node_view view;
    std::uint64_t first = 1, acknowledged = 0;
    std::optional<told_views> told;
    told.emplace(first);
    heard_views heard;
    std::map<std::uint64_t, node_view> truth;  // by version
    std::vector<proto::Heartbeat> wire;
    const auto beat = [&] {
      told->set(view);
      proto::Heartbeat out;
      told->write(acknowledged, out);
      truth[out.view_version()] = view;
      return out;
    };
    const auto take = [&](const proto::Heartbeat& from) {
      heard.take(from);
      if (heard.version() != 0) RC_ASSERT(heard.newest() == truth.at(heard.version()));
    };
    for (int steps = 20 + below(80); steps > 0; --steps) {
      switch (below(8)) {
        case 0:
        case 1:
          change(view);
          break;
        case 2:
        case 3:
          wire.push_back(beat());
          break;
        case 4:
          if (!wire.empty()) {  // any that is under way; it may come again
            const auto at = wire.begin() + below(static_cast<int>(wire.size()));
            take(*at);
            if (below(2)) wire.erase(at);
          }
          break;
        case 5:
          acknowledged = heard.version();
          break;
        case 6:
          if (below(4) == 0) heard.forget();  // the receiver started again
          break;
        case 7:
          if (below(4) == 0) told.emplace(first += std::uint64_t{1} << 32);  // the sender's actor
          break;
      }
    }
    for (int i = 0; i < 3; ++i) {  // what is not lost in the end
      take(beat());
      acknowledged = heard.version();
    }
    RC_ASSERT(heard.newest() == view);
    RC_ASSERT(beat().view_base() == heard.version());
  }));
}

TEST_CASE(
    "two cores over a link that ends, restarts and loses: each comes to see what the other is") {
  CHECK(rc::check([] {
    const std::string names[2] = {"a", "b"};
    std::uint64_t incarnation[2] = {1, 1}, restarts[2] = {0, 0};
    std::optional<membership_core> cores[2];
    std::deque<envelope_ptr> wire[2];  // toward each, in order, as the link promises
    node_view is[2];
    bool up = false;
    time_point_us now{};
    const auto make = [&](int n) {
      membership_settings settings;
      settings.self = names[n];
      settings.incarnation = incarnation[n];
      settings.restarts = restarts[n];
      cores[n].emplace(settings);
      cores[n]->own_load(is[n].load);
      cores[n]->own_prefixes(is[n].prefixes);
      (void)cores[n]->own_models(is[n].models, now);
    };
    const auto take = [&](int n, const membership_effects& effects) {
      if (!up) return;
      for (const envelope_ptr& one : effects.messages) wire[1 - n].push_back(one);
    };
    const auto link_up = [&](int n) {
      take(n, cores[n]->link_up(names[1 - n], incarnation[1 - n], "tcp://", now));
    };
    const auto connect = [&](bool wanted) {
      if (up == wanted) return;
      up = wanted;
      wire[0].clear(), wire[1].clear();
      for (const int n : {0, 1}) {
        if (up)
          link_up(n);
        else
          (void)cores[n]->link_down(names[1 - n], incarnation[1 - n], "cut", now);
      }
    };
    const auto deliver = [&](int n) {
      if (wire[n].empty()) return;
      const envelope_ptr message = wire[n].front();
      wire[n].pop_front();
      take(n, cores[n]->heard(names[1 - n], *message, now));
    };
    const auto tick = [&](int ms) {
      now += std::chrono::milliseconds(ms);
      for (const int n : {0, 1}) take(n, cores[n]->tick(now));
    };
    make(0), make(1);
    for (int steps = 20 + below(60); steps > 0; --steps) {
      const int n = below(2);
      switch (below(10)) {
        case 0:
          change(is[n]);
          cores[n]->own_load(is[n].load);
          cores[n]->own_prefixes(is[n].prefixes);
          take(n, cores[n]->own_models(is[n].models, now));
          break;
        case 1:
          connect(true);
          break;
        case 2:
          if (below(3) == 0) connect(false);
          break;
        case 3:
          if (below(3) > 0) break;
          connect(false);  // the process started again
          ++incarnation[n], restarts[n] = 0;
          make(n);
          break;
        case 4:
          if (below(3) > 0) break;
          ++restarts[n];  // the actor did; what lay in its mailbox is gone
          make(n);
          wire[n].clear();
          if (up) link_up(n);
          break;
        case 5:
          if (!wire[n].empty()) wire[n].pop_front();  // the link's queue was full
          break;
        case 6:
          tick(60);
          break;
        default:
          deliver(n);
      }
    }
    connect(true);
    for (int i = 0; i < 100; ++i) {
      tick(60);
      while (!wire[0].empty() || !wire[1].empty()) deliver(0), deliver(1);
    }
    for (const int n : {0, 1}) {
      const member* seen = cores[1 - n]->view()->find(names[n]);
      RC_ASSERT(seen != nullptr);
      RC_ASSERT(seen->up);
      RC_ASSERT(!seen->suspect);
      RC_ASSERT(seen->incarnation == incarnation[n]);
      RC_ASSERT(seen->load == is[n].load);
      RC_ASSERT(seen->prefixes == is[n].prefixes);
      RC_ASSERT(same_models(seen->models, is[n].models));
    }
  }));
}
