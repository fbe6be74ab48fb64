// A disk in memory for a model loader. A file's digest and need are what the test says.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/model_loader/model_files.hpp"
#include "tests/unit/actors/fakes.hpp"

namespace troupe::fakes {

inline std::string digest_of(char c) {
  return std::string(64, c);
}

class memory_files final : public model_files {
 public:
  struct file {
    std::string bytes, digest;
    std::uint64_t weights = 1000, kv_block = 10;
    std::int64_t modified = 1;
  };
  std::vector<found_file> scan() override {
    std::vector<found_file> all;
    for (const auto& [path, f] : files)
      all.push_back({path, aliases[path], f.bytes.size(), f.modified});
    return all;
  }
  result<std::string> digest(const std::filesystem::path& path) override {
    ++hashed;
    const auto found = files.find(path.string());
    if (found == files.end()) return error{error_code::not_found, "no file", {}};
    return found->second.digest;
  }
  result<model_facts> describe(const std::filesystem::path& path) override {
    const auto found = files.find(path.string());
    if (found == files.end() || found->second.bytes == "broken")
      return error{error_code::data_corrupt, "not a model", {}};
    model_facts facts;
    facts.architecture = "llama";
    facts.quantization = "q8_0";
    facts.parameters = 100;
    facts.context_tokens = context_tokens;
    facts.need = {found->second.weights, found->second.kv_block};
    facts.layers.assign(10, {found->second.weights / 10, found->second.kv_block / 10});
    facts.words = std::make_shared<letters>();
    facts.chat = chat;
    return facts;
  }
  result<std::string> read(const std::filesystem::path& path, std::uint64_t offset,
                           std::uint32_t length) override {
    return files.at(path.string()).bytes.substr(offset, length);
  }
  result<std::uint64_t> open_partial(const std::string& name, std::uint64_t size,
                                     bool resume) override {
    if (size > disk_bytes) return error{error_code::resource_exhausted, "disk full", "free some"};
    if (!resume) partials[name].clear();
    return static_cast<std::uint64_t>(partials[name].size());
  }
  result<std::uint64_t> write_partial(const std::string& name, std::uint64_t offset,
                                      std::string_view bytes) override {
    if (partials[name].size() != offset) return error{error_code::internal, "a hole", {}};
    partials[name] += bytes;
    return static_cast<std::uint64_t>(partials[name].size());
  }
  result<found_file> finish_partial(const std::string& name, const std::string& digest) override {
    const std::string bytes = std::exchange(partials[name], {});
    partials.erase(name);
    if (bytes != true_bytes[digest]) return error{error_code::data_corrupt, "wrong digest", {}};
    const std::string path = "/models/" + name + ".gguf";
    files[path] = {bytes, digest};
    return found_file{path, {}, bytes.size(), 1};
  }
  std::string load_memory() override { return saved; }
  void save_memory(const std::string& text) override { saved = text; }

  std::map<std::string, file> files;
  std::map<std::string, std::string> aliases, partials, true_bytes;
  std::string saved;
  chat_facts chat;  // of every file
  std::uint64_t disk_bytes = 1u << 30;
  std::uint32_t context_tokens = 32;  // of every model
  int hashed = 0;
};

}  // namespace troupe::fakes
