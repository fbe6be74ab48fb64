#include "nodes.hpp"

#include <signal.h>

#include <stdexcept>

#include "kernels/gguf/gguf.hpp"
#include "kernels/model_file/model_file.hpp"

namespace system_test {

using namespace troupe::client;

const std::filesystem::path& tiny_model() {
  static const scratch_folder folder;
  static const std::filesystem::path path = [] {
    const std::filesystem::path file = folder.path() / "tiny.gguf";
    troupe::kernels::make_model_settings settings;
    settings.seed = 7;
    const auto made = troupe::kernels::make_model(settings, file);
    if (!made) throw std::runtime_error(made.failure().text());
    return file;
  }();
  return path;
}

// The tiny model with another chat template, or with none.
void write_chat_model(const std::filesystem::path& path, const std::string& chat_template) {
  const auto file = troupe::kernels::gguf_file::open(tiny_model());
  if (!file) throw std::runtime_error(file.failure().text());
  troupe::kernels::gguf_writer writer(path);
  for (const auto& [key, value] : (*file)->metadata())
    if (key != "tokenizer.chat_template") writer.set_raw(key, value, *(*file)->metadata_type(key));
  if (!chat_template.empty()) writer.set("tokenizer.chat_template", chat_template);
  for (const auto& tensor : (*file)->tensors())
    writer.add_tensor(std::string(tensor.name), tensor.type, tensor.shape);
  for (const auto& tensor : (*file)->tensors())
    if (const auto done = writer.write_tensor(tensor.bytes); !done)
      throw std::runtime_error(done.failure().text());
  if (const auto done = writer.finish(); !done) throw std::runtime_error(done.failure().text());
}

node::node(const node_wish& wish) {
  const std::filesystem::path models = folder_.path() / "models";
  std::filesystem::create_directories(models);
  if (wish.chat_template)
    write_chat_model(models / "tiny.gguf", *wish.chat_template);
  else if (wish.has_model)
    std::filesystem::create_symlink(tiny_model(), models / "tiny.gguf");
  std::string yaml = "node:\n  name: " + wish.name + "\n  state_dir: state\n  stop_wait: 2s\n" +
                     "link:\n  listen: " + wish.listen + "\n" + wish.link +
                     "models:\n  directories: [models]\n" +
                     (wish.preloads ? "  preload: [tiny]\n" : "") + wish.models +
                     "membership:\n  heartbeat_interval: 100ms\n  down_after: 1500ms\n  peers: [";
  for (const std::string& peer : wish.peers) yaml += (yaml.back() == '[' ? "" : ", ") + peer;
  yaml += "]\ninference:\n  threads: 1\n  kv_bytes: 16MiB\n  kv_type: " + wish.kv_type +
          "\n  enabled: ";
  yaml += wish.computes ? "true\n" : "false\n";
  yaml += wish.inference;
  yaml += "gateway:\n  detach_grace: " + wish.detach_grace + "\n";
  if (wish.chaos)
    yaml += std::string("chaos:\n  enabled: true\n  supervised: ") +
            (wish.supervised ? "true\n" : "false\n");
  if (!wish.redis.empty())
    yaml += "cache:\n  redis: " + wish.redis + "\n  redis_retry: 100ms\n  redis_deadline: 900ms\n";
  write_file(folder_.path() / "node.yaml", yaml);
  begin();
}

void node::begin() {
  address_.clear();
  process_.emplace(
      std::vector<std::string>{TROUPED, "--config", (folder_.path() / "node.yaml").string()},
      folder_.path() / "errors");
  if (auto line = process_->line(milliseconds(30'000))) {
    const std::string key = "address=";
    const std::size_t begin = line->find(key);
    if (line->starts_with("ready ") && begin != std::string::npos)
      address_ = line->substr(begin + key.size(), line->find(' ', begin) - begin - key.size());
  }
}

void node::kill() {
  process_->signal(SIGKILL);
  process_->wait(milliseconds(10'000));
}

void node::start_again() {
  begin();
}

std::unique_ptr<cluster> node::connect(connect_options options) const {
  auto connected = cluster::connect(at(), options);
  if (!connected) throw std::runtime_error(connected.failure().text() + "\n" + errors());
  return std::move(*connected);
}

job job_of(const std::string& prompt, std::uint32_t tokens_max) {
  job out;
  out.model = "tiny";
  out.prompt = prompt;
  out.tokens_max = tokens_max;
  out.ignore_end = true;
  return out;
}

answer read_all(stream& from) {
  answer out;
  for (;;) {
    auto next = from.next(milliseconds(60'000));
    if (!next) {
      out.failure = next.failure();
      break;
    }
    if (!*next) break;
    out.ids.push_back((*next)->id);
    out.text += (*next)->text;
  }
  out.report = from.summary();
  out.text += out.report.text_tail;
  return out;
}

answer ask(cluster& at, const job& wish) {
  auto submitted = at.submit(wish);
  if (submitted) return read_all(**submitted);
  answer out;
  out.failure = submitted.failure();
  return out;
}

nlohmann::json status_of(cluster& at) {
  auto text = at.status_json(milliseconds(10'000));
  if (!text) throw std::runtime_error(text.failure().text());
  return nlohmann::json::parse(*text);
}

const nlohmann::json* part_of(const nlohmann::json& status, const std::string& node) {
  for (const auto& part : status.at("nodes"))
    if (part.at("node") == node) return &part;
  return nullptr;
}

bool nodes_up(cluster& at, std::size_t nodes) {
  return eventually([&] {
    std::size_t up = 0;
    const nlohmann::json status = status_of(at);
    for (const auto& part : status.at("nodes"))
      up += part.at("up").get<bool>() && !part.at("models").empty();
    return up >= nodes;
  });
}

bool model_ready(cluster& at, const std::string& node) {
  return eventually([&] {
    const nlohmann::json status = status_of(at);
    const nlohmann::json* part = part_of(status, node);
    if (!part) return false;
    for (const auto& model : part->at("models"))
      if (model.at("name") == "tiny" && model.at("state") == "ready") return true;
    return false;
  });
}

}  // namespace system_test
