// The stages role's shell: opens parts of models on a background thread and computes their steps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "actors/shell/background.hpp"
#include "actors/shell/role.hpp"
#include "actors/stages/stages_core.hpp"
#include "actors/stages/stages_load.hpp"
#include "kernels/stage.hpp"

namespace troupe {

using stage_maker =
    std::function<result<std::unique_ptr<kernels::stage>>(const stage_opening& opening)>;

// On this machine's processor. Errors: resource_exhausted, where the weights or one block of KV are
// beyond bytes_max; those of the file.
stage_maker make_stage_maker(const stages_settings& settings);

class stages_role final : public role {
 public:
  stages_role(const stages_settings& settings, post_office& office, notify_self notify,
              stage_maker maker, std::unique_ptr<background> aside,
              std::shared_ptr<stages_load> load = nullptr);

  void receive(const envelope_ptr& message, time_point_us now) override;
  void notice(const role_event& event, time_point_us now) override;
  void tick(time_point_us now) override;

 private:
  void carry_out(stages_core::effects effects);
  envelope_ptr compute(const proto::Envelope& request);

  post_office& office_;
  notify_self notify_;
  stage_maker maker_;
  stages_core core_;
  std::map<std::string, std::unique_ptr<kernels::stage>> stages_;
  std::map<std::string, std::uint32_t> tokens_max_;  // of a step, by stage
  std::shared_ptr<stages_load> load_;                // may be null
  std::unique_ptr<background> aside_;                // last: its thread ends before what it uses
};

}  // namespace troupe
