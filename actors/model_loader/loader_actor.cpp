#include "actors/model_loader/loader_actor.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "actors/spawn.hpp"

namespace troupe {
namespace {

struct disk_report : role_event {
  explicit disk_report(loader_report r) : report(std::move(r)) {}
  loader_report report;
};

// Asks for the first scan as soon as the mailbox runs.
struct loader_begins : role_event {};

std::uint64_t machine_memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)
             : 0;
}

void log(const loader_report& report) {
  if (const auto* r = std::get_if<file_examined>(&report)) {
    if (r->facts) {
      spdlog::info("model_found path={} digest={}", r->path.string(), r->facts->digest);
    } else {
      spdlog::error("model_refused path={} reason=\"{}\"", r->path.string(),
                    r->facts.failure().text());
    }
  }
  if (const auto* r = std::get_if<partial_finished>(&report)) {
    if (r->file) {
      spdlog::info("model_fetched name={} digest={}", r->name, r->digest);
    } else {
      spdlog::error("model_fetch_failed name={} reason=\"{}\"", r->name, r->file.failure().text());
    }
  }
}

}  // namespace

loader_role::loader_role(const loader_settings& settings, post_office& office, notify_self notify,
                         std::shared_ptr<model_files> files, std::shared_ptr<background> hashing,
                         std::shared_ptr<background> writing,
                         std::shared_ptr<const inference_load> load)
    : office_(office),
      notify_(std::move(notify)),
      files_(std::move(files)),
      load_(std::move(load)),
      core_(settings, machine_memory_bytes(), loader_memory::parse(files_->load_memory()),
            [this](const std::string& digest) { return load_ ? load_->sequences_of(digest) : 0u; }),
      hashing_(std::move(hashing)),
      writing_(std::move(writing)) {
  notify_(std::make_shared<loader_begins>());
}

void loader_role::receive(const envelope_ptr& message, time_point_us now) {
  carry_out(core_.step(message, now));
}

void loader_role::notice(const role_event& event, time_point_us now) {
  if (const auto* report = dynamic_cast<const disk_report*>(&event)) {
    log(report->report);
    carry_out(core_.absorb(report->report, now));
  } else if (const auto* lost = dynamic_cast<const node_lost*>(&event)) {
    carry_out(core_.lose_node(lost->node, now));
  } else if (const auto* fresh = dynamic_cast<const actor_restarted*>(&event)) {
    if (fresh->actor == "inference") carry_out(core_.inference_restarted(now));
  } else if (dynamic_cast<const loader_begins*>(&event) != nullptr) {
    carry_out(core_.begin(now));
  }
}

void loader_role::tick(time_point_us now) {
  carry_out(core_.tick(now));
}

void loader_role::carry_out(loader_core::effects effects) {
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
  for (loader_command& command : effects.commands) {
    if (const auto* wish = std::get_if<serve_bytes>(&command)) {
      office_.post(bytes_served(*wish, *files_));
      continue;
    }
    const bool slow = std::holds_alternative<examine_file>(command) ||
                      std::holds_alternative<finish_partial>(command);
    background& where = slow ? *hashing_ : *writing_;
    if (const auto* wish = std::get_if<save_memory>(&command)) {
      where.run([files = files_, text = wish->text] { files->save_memory(text); });
      continue;
    }
    where.run([files = files_, notify = notify_, command = std::move(command)] {
      if (auto report = troupe::carry_out(command, *files))
        notify(std::make_shared<disk_report>(std::move(*report)));
    });
  }
}

role_handle spawn_model_loader(caf::actor_system& system, const loader_settings& settings,
                               post_office& office, std::shared_ptr<actor_gauge> gauge,
                               std::shared_ptr<const inference_load> load) {
  role_plan plan;
  plan.name = "model_loader";
  plan.gauge = std::move(gauge);
  plan.detached = true;
  plan.make = [settings, &office, load](notify_self notify) -> std::unique_ptr<role> {
    return std::make_unique<loader_role>(
        settings, office, std::move(notify), make_disk_model_files(settings),
        std::make_shared<background_thread>(), std::make_shared<background_thread>(), load);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
