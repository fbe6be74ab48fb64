// The loader's shell: carries out the core's commands. Hashing and disk writes run on threads of
// their own, so that prompts are prepared while a large file is read.
#pragma once

#include <memory>

#include "actors/inference/inference_settings.hpp"
#include "actors/model_loader/loader_core.hpp"
#include "actors/model_loader/model_files.hpp"
#include "actors/shell/background.hpp"
#include "actors/shell/role.hpp"

namespace troupe {

class loader_role final : public role {
 public:
  // hashing and writing may be the same object in tests.
  loader_role(const loader_settings& settings, post_office& office, notify_self notify,
              std::shared_ptr<model_files> files, std::shared_ptr<background> hashing,
              std::shared_ptr<background> writing, std::shared_ptr<const inference_load> load);

  void receive(const envelope_ptr& message, time_point_us now) override;
  void notice(const role_event& event, time_point_us now) override;
  void tick(time_point_us now) override;

 private:
  void carry_out(loader_core::effects effects);

  post_office& office_;
  notify_self notify_;
  std::shared_ptr<model_files> files_;
  std::shared_ptr<const inference_load> load_;
  loader_core core_;
  std::shared_ptr<background> hashing_, writing_;  // last: their threads end before what they use
};

}  // namespace troupe
