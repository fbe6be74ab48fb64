// The inference role's shell: owns the engines and runs their steps; inference_core decides.
//
// Engines are made on a background thread and handed over, so that sequences of other models run on
// while one loads; constraints likewise, on a thread of their own. Between two steps everything in
// the mailbox is seen.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "actors/inference/engine_source.hpp"
#include "actors/inference/inference_core.hpp"
#include "actors/shell/background.hpp"
#include "actors/shell/role.hpp"

namespace troupe {

// Where the role's long work is done, and by what.
struct inference_aside {
  std::shared_ptr<engine_source> source;
  std::unique_ptr<background> engines;
  std::unique_ptr<background> constraints;
  std::function<result<made_constraint>(const constraint_wish&)> compiler = make_constraint;
};

class inference_role final : public role {
 public:
  inference_role(const inference_settings& settings, post_office& office, notify_self notify,
                 inference_aside aside, std::shared_ptr<inference_load> load);

  void receive(const envelope_ptr& message, time_point_us now) override;
  void notice(const role_event& event, time_point_us now) override;
  void tick(time_point_us now) override;
  bool has_work() const override { return core_.has_work(); }
  void work(time_point_us now) override;

 private:
  void carry_out(inference_core::effects effects);
  void wait_a_little(time_point_us now);
  void lose_engine(const std::string& digest, const error& why, time_point_us now);
  void show_load(time_point_us now);

  post_office& office_;
  notify_self notify_;
  std::shared_ptr<inference_load> load_;
  inference_core core_;
  std::size_t prefixes_shown_max_;
  std::map<std::string, std::unique_ptr<kernels::engine>> engines_;
  std::uint64_t tokens_at_mark_ = 0;
  time_point_us mark_{};
  inference_aside aside_;  // last: its threads end before what they use
};

}  // namespace troupe
