// Loader and inference of two nodes on real threads, real files and the real engine; the test is
// the post office between them.
#include <doctest/doctest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "actors/spawn.hpp"
#include "kernels/model_file/model_file.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

// Delivers to the actors of both nodes; what is for "gate" is kept.
class two_node_office final : public post_office {
 public:
  void post(envelope_ptr message) override {
    role_handle to;
    {
      const std::lock_guard lock{guard_};
      const std::string place = message->target().node() + "/" + message->target().actor();
      if (message->target().node() == "gate") {
        kept_.push_back(std::move(message));
        wake_.notify_all();
        return;
      }
      to = roles_[place];
    }
    if (to && to.deliver(message)) return;
    if (message->correlation() != 0 && !message->has_error())
      post(refuse(*message, proto::Error::UNAVAILABLE, "nobody there"));
  }
  void add(const std::string& place, role_handle handle) {
    const std::lock_guard lock{guard_};
    roles_[place] = std::move(handle);
  }
  // The next kept message that `wanted` accepts.
  template <class Wanted>
  envelope_ptr wait_for(Wanted&& wanted) {
    std::unique_lock lock{guard_};
    envelope_ptr found;
    wake_.wait_for(lock, std::chrono::seconds{120}, [&] {
      for (const auto& message : kept_)
        if (wanted(*message)) return (found = message) != nullptr;
      return false;
    });
    return found;
  }

 private:
  std::mutex guard_;
  std::condition_variable wake_;
  std::map<std::string, role_handle> roles_;
  std::vector<envelope_ptr> kept_;
};

struct node_actors {
  node_actors(caf::actor_system& system, two_node_office& office, const std::string& name,
              const std::filesystem::path& root) {
    loader_settings loading;
    loading.node = name;
    loading.directories = {root / name};
    loading.state_file = root / (name + ".state");
    loading.piece_bytes = 64u << 10;
    inference_settings inferring;
    inferring.node = name;
    inferring.threads = 1;
    loader = spawn_model_loader(system, loading, office, std::make_shared<actor_gauge>());
    inference = spawn_inference(system, inferring, office, std::make_shared<actor_gauge>());
    office.add(name + "/model_loader", loader);
    office.add(name + "/inference", inference);
  }
  ~node_actors() {
    loader.stop();
    inference.stop();
  }
  role_handle loader, inference;
};

std::shared_ptr<proto::Envelope> to(const std::string& node, const std::string& actor,
                                    std::uint64_t correlation) {
  auto message = letter("gate", "gateway", actor, correlation);
  message->mutable_target()->set_node(node);
  return message;
}

}  // namespace

TEST_CASE("a model fetched from another node answers with the same tokens") {
  namespace fs = std::filesystem;
  const fs::path root =
      fs::temp_directory_path() / ("troupe-two-nodes-" + std::to_string(::getpid()));
  fs::remove_all(root);
  fs::create_directories(root / "one");
  REQUIRE(kernels::make_model({}, root / "one" / "tiny.gguf").ok());

  two_node_office office;
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  {
    caf::actor_system system{config};
    node_actors one{system, office, "one", root}, two{system, office, "two", root};
    std::uint64_t correlation = 0;
    std::map<std::string, std::vector<std::int32_t>> canaries;
    std::map<std::string, std::uint64_t> hashes;
    for (const std::string node : {"one", "two"}) {
      auto load = to(node, "model_loader", ++correlation);
      load->mutable_load_model()->set_model("tiny");
      load->mutable_load_model()->add_holders("one");
      office.post(load);
      const auto loaded =
          office.wait_for([&](const auto& m) { return m.correlation() == correlation; });
      REQUIRE(loaded);
      REQUIRE_MESSAGE(loaded->has_model_loaded(), loaded->error().message());
      const auto& model = loaded->model_loaded().model();
      canaries[node] = {model.canary_ids().begin(), model.canary_ids().end()};
      CHECK(canaries[node].size() == 8);

      auto prompt = to(node, "model_loader", ++correlation);
      prompt->mutable_prepare_prompt()->set_model("tiny");
      prompt->mutable_prepare_prompt()->set_text("Once upon a time");
      office.post(prompt);
      const auto prepared =
          office.wait_for([&](const auto& m) { return m.correlation() == correlation; });
      REQUIRE(prepared);
      REQUIRE(prepared->has_prompt_prepared());
      job_wish job{
          .id = node, .tokens_max = 24, .temperature = 0.8f, .seed = 11, .digest = model.digest()};
      job.prompt = {prepared->prompt_prepared().ids().begin(),
                    prepared->prompt_prepared().ids().end()};
      auto start = std::make_shared<proto::Envelope>(*start_message(job));
      start->mutable_target()->set_node(node);
      office.post(start);
      const auto ended = office.wait_for([&](const auto& m) {
        return (m.has_sequence_finished() && m.sequence_finished().job_id() == node) ||
               m.has_sequence_failed();
      });
      REQUIRE(ended);
      REQUIRE_MESSAGE(ended->has_sequence_finished(), ended->sequence_failed().error().message());
      CHECK(ended->sequence_finished().answer_tokens() == 24);
      CHECK(ended->sequence_finished().numerics_class() == "cpu-1");
      hashes[node] = ended->sequence_finished().running_hash();
    }
    CHECK(hashes["one"] == hashes["two"]);
    CHECK(canaries["one"] == canaries["two"]);
    CHECK(fs::exists(root / "two" / "tiny.gguf"));
    CHECK_FALSE(fs::exists(root / "two" / "tiny.partial"));
    office.add("one/model_loader", {});
    office.add("one/inference", {});
    office.add("two/model_loader", {});
    office.add("two/inference", {});
  }
  fs::remove_all(root);
}
