// What a loader knows of a model file that it has opened once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "actors/model_loader/chat_prompt.hpp"
#include "kernels/engine.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe {

struct found_file {
  std::filesystem::path path;
  std::string alias;  // from the settings; empty: the file's stem is its name
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
};

struct model_facts {
  std::string digest;  // 64 hexadecimal digits
  std::string architecture;
  std::string quantization;  // the type of most weights
  std::uint64_t parameters = 0;
  std::uint32_t context_tokens = 0;
  kernels::memory_need need;
  // Of each layer alone; the last one's has the output's weights.
  std::vector<kernels::memory_need> layers;
  std::shared_ptr<const kernels::tokenizer> words;
  chat_facts chat;
};

// Names that may come from the network and become a file's name: 1 to 128 of [A-Za-z0-9._-], not
// beginning with a dot.
bool is_safe_name(std::string_view name);
// 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text);

}  // namespace troupe
