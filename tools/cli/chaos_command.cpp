#include <signal.h>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>

#include "kernels/model_file/model_file.hpp"
#include "tools/chaos/cluster_run.hpp"
#include "tools/chaos/local_run.hpp"
#include "tools/cli/command.hpp"
#include "tools/local/processes.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> interrupted = false;

struct chaos_request {
  std::string plan, model, daemon, html, at;
  std::uint64_t seed = 0;
  std::uint32_t seconds = 0;
  bool json = false;
};

result<chaos::chaos_plan> plan_of(const chaos_request& request) {
  std::error_code failed;
  const auto size = fs::file_size(request.plan, failed);
  if (failed || size > (1u << 20))
    return error{error_code::not_found, "cannot read the plan " + request.plan,
                 "plans are files like those in tools/chaos/plans"};
  auto plan =
      chaos::read_plan(local::content_of(request.plan), fs::path(request.plan).filename().string());
  if (!plan) return plan;
  if (request.seed > 0) plan->seed = request.seed;
  if (request.seconds > 0) plan->lasts = std::chrono::seconds(request.seconds);
  return plan;
}

void catch_signals() {
  for (const int number : {SIGINT, SIGTERM}) ::signal(number, [](int) { interrupted = true; });
}

int tell(const chaos_request& request, const result<chaos::run_report>& report) {
  if (!report) return complain(report.failure());
  if (!request.html.empty() && !local::write_file(request.html, chaos::told_in_html(*report)))
    return complain({error_code::not_found, "cannot write " + request.html,
                     "name a file in a folder that exists"});
  std::cout << (request.json ? chaos::told_in_json(*report) + "\n" : chaos::told_in_text(*report));
  return report->judged.passed() ? exit_fine : exit_job_failed;
}

int run_local(const chaos_request& request) {
  auto plan = plan_of(request);
  if (!plan) return complain(plan.failure());
  chaos::local_wish wish{*plan, request.daemon, request.model};
  std::error_code failed;
  if (wish.daemon.empty())
    wish.daemon = fs::read_symlink("/proc/self/exe", failed).parent_path() / "trouped";
  if (!fs::exists(wish.daemon, failed))
    return complain(
        {error_code::not_found, "there is no " + wish.daemon.string(), "give --daemon"});
  local::scratch_folder folder;
  if (wish.model.empty()) {
    wish.model = folder.path() / "chaos.gguf";
    kernels::make_model_settings tiny;
    tiny.seed = 7;
    if (auto made = kernels::make_model(tiny, wish.model); !made) return complain(made.failure());
  }
  wish.model = fs::absolute(wish.model, failed);
  catch_signals();
  return tell(request, chaos::run_locally(wish, interrupted));
}

int run_in_cluster(const chaos_request& request) {
  auto plan = plan_of(request);
  if (!plan) return complain(plan.failure());
  catch_signals();
  return tell(request, chaos::run_in_cluster({*plan, request.at, request.model}, interrupted));
}

}  // namespace

void add_chaos(CLI::App& app, action& chosen) {
  auto request = std::make_shared<chaos_request>();
  CLI::App& chaos =
      *app.add_subcommand("chaos", "pull plugs while jobs run, and check every token");
  chaos.require_subcommand(1);
  const auto add_options = [request](CLI::App& command) {
    command.add_option("--plan", request->plan, "a plan, as those in tools/chaos/plans")
        ->required();
    command.add_option("--seed", request->seed, "instead of the plan's");
    command.add_option("--seconds", request->seconds, "instead of the plan's")
        ->check(CLI::Range(1u, 86400u));
    command.add_option("--html", request->html, "write the report with its timeline to this file");
    command.add_flag("--json", request->json, "print one JSON document");
    command.footer(
        "Exit code 0: nothing lost, repeated or changed. 5: something was, or the run was invalid "
        "(too few jobs or faults).");
  };
  CLI::App& local = *chaos.add_subcommand(
      "local", "on daemons of this machine that are started and ended for it");
  add_options(local);
  local.add_option("--model", request->model, "a GGUF file; else a small one of random weights");
  local.add_option("--daemon", request->daemon,
                   "the program trouped; else the one beside this program");
  local.callback([&chosen, request] { chosen = [request] { return run_local(*request); }; });
  CLI::App& running = *chaos.add_subcommand(
      "run", "in a cluster that runs, by its nodes' own hands, where their settings allow it");
  add_options(running);
  running.add_option("--at", request->at, "HOST:PORT of the gateways, with commas between")
      ->required();
  running.add_option("--model", request->model, "its name; else the first that is ready");
  running.callback([&chosen, request] { chosen = [request] { return run_in_cluster(*request); }; });
}

}  // namespace troupe::cli
