#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/chat_template/chat_template.hpp"
#include "kernels/model_file/model_file.hpp"
#include "kernels/tokenizer/tokenizer.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/model_command.hpp"

namespace troupe::cli {
namespace {

using json = nlohmann::ordered_json;

int make(const kernels::make_model_settings& settings, const std::string& out) {
  const auto made = kernels::make_model(settings, out);
  if (!made) return complain(made.failure());
  std::cout << out << ": " << made->parameters << " parameters, " << made->file_bytes
            << " bytes; its weights are random\n";
  return exit_fine;
}

json json_of(const kernels::model_description& model) {
  json metadata = json::array(), tensors = json::array(), types = json::array();
  for (const auto& one : model.metadata)
    metadata.push_back({{"key", one.key}, {"type", one.type}, {"value", one.value}});
  for (const auto& one : model.tensors)
    tensors.push_back({{"name", one.name},
                       {"type", kernels::row_of(one.type).name},
                       {"shape", one.shape},
                       {"bytes", one.bytes}});
  for (const auto& one : model.types)
    types.push_back(
        {{"type", kernels::row_of(one.type).name}, {"tensors", one.tensors}, {"bytes", one.bytes}});
  return {{"gguf_version", model.gguf_version},
          {"digest", model.digest},
          {"file_bytes", model.file_bytes},
          {"parameters", model.parameters},
          {"tensor_bytes", model.tensor_bytes},
          {"types", types},
          {"metadata", metadata},
          {"tensors", tensors}};
}

// "chat template: 812 bytes, can be run"
std::string chat_line(const kernels::gguf_file& file) {
  const std::string begin = "chat template: ";
  const auto source = file.text("tokenizer.chat_template");
  if (!source) return begin + source.failure().text();
  if (!*source) return begin + "none; prompts are given as text";
  const auto parsed = kernels::chat_template::parse(**source);
  return begin + std::to_string((*source)->size()) + " bytes, " +
         (parsed ? std::string("can be run") : "cannot be run: " + parsed.failure().text());
}

int inspect(const std::string& path, bool as_json) {
  const auto file = kernels::gguf_file::open(path);
  if (!file) return complain(file.failure());
  const auto digest = kernels::file_digest(path);
  if (!digest) return complain(digest.failure());
  kernels::model_description model = kernels::describe_model(**file);
  model.digest = *digest;
  if (as_json)
    std::cout << json_of(model).dump(2, ' ', false, json::error_handler_t::replace) << "\n";
  else
    for (const std::string& line : model.lines()) std::cout << line << "\n";
  if (!as_json) std::cout << chat_line(**file) << "\n";
  return exit_fine;
}

int quantize(const std::string& from, const std::string& to, const std::string& type, int threads) {
  const kernels::tensor_type_row* row = kernels::find_tensor_type(type);
  if (row == nullptr)
    return complain({error_code::invalid_argument, "no tensor type is named " + type,
                     "q8_0, q4_0, q4_k, q5_k or q6_k"});
  const auto report = kernels::quantize_model(from, to, row->type, threads);
  if (!report) return complain(report.failure());
  for (const auto& one : report->fallbacks)
    std::cerr << one.tensor << ": rows of " << one.row_length << " do not divide into blocks of "
              << kernels::row_of(one.wanted).name << "; " << kernels::row_of(one.used).name
              << " instead\n";
  std::cout << to << ": " << report->tensors << " tensors, " << report->bytes_before
            << " bytes became " << report->bytes_after << "\n";
  return exit_fine;
}

int tokenize(const std::string& path, const std::string& text, bool as_json) {
  const auto file = kernels::gguf_file::open(path);
  if (!file) return complain(file.failure());
  const auto words = kernels::tokenizer::make(**file);
  if (!words) return complain(words.failure());
  const auto ids = (*words)->encode(text, {});
  if (!ids) return complain(ids.failure());
  if (as_json) {
    json pieces = json::array();
    for (const auto id : *ids) pieces.push_back((*words)->piece(id, true));
    const json document = {{"ids", *ids},
                           {"pieces", pieces},
                           {"tokenizer", (*words)->kind()},
                           {"pre_tokenizer", (*words)->pre_tokenizer()},
                           {"digest", (*words)->digest()}};
    std::cout << document.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
    return exit_fine;
  }
  for (std::size_t i = 0; i < ids->size(); ++i) std::cout << (i == 0 ? "" : " ") << (*ids)[i];
  std::cout << "\n";
  return exit_fine;
}

template <std::size_t N, class Row, class Name>
std::vector<std::string> names_of(const Row (&rows)[N], Name name) {
  std::vector<std::string> names;
  for (const Row& row : rows) names.emplace_back(name(row));
  return names;
}

void add_make(CLI::App& model, action& chosen) {
  struct options {
    kernels::make_model_settings settings;
    std::string type = "f16", out;
  };
  auto given = std::make_shared<options>();
  CLI::App& command = *model.add_subcommand(
      "make", "write a valid model with random weights: it answers nonsense, at full cost");
  const auto shapes =
      names_of(kernels::model_shape_table, [](const auto& row) { return row.name; });
  const auto tokenizers =
      names_of(kernels::model_tokenizer_names, [](const auto& name) { return name; });
  command.add_option("--shape", given->settings.shape, "the model's size")
      ->capture_default_str()
      ->check(CLI::IsMember(shapes));
  command.add_option("--tokenizer", given->settings.tokenizer, "its tokenizer")
      ->capture_default_str()
      ->check(CLI::IsMember(tokenizers));
  command.add_option("--seed", given->settings.seed, "same seed, same file")->capture_default_str();
  command.add_option("--type", given->type, "type of the matrices")
      ->capture_default_str()
      ->check(CLI::IsMember({"f16", "f32"}));
  command.add_option("--threads", given->settings.threads, "threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command.add_option("--out", given->out, "the GGUF file to write")->required();
  command.callback([&chosen, given] {
    chosen = [given] {
      given->settings.type = kernels::find_tensor_type(given->type)->type;
      return make(given->settings, given->out);
    };
  });
}

void add_quantize(CLI::App& model, action& chosen) {
  struct options {
    std::string from, to, type;
    int threads = 2;
  };
  auto given = std::make_shared<options>();
  CLI::App& command = *model.add_subcommand("quantize", "write a smaller copy of a model");
  command.add_option("IN", given->from, "a GGUF file of f32, f16, bf16 or q8_0")->required();
  command.add_option("OUT", given->to, "the GGUF file to write")->required();
  command.add_option("--type", given->type, "type of most matrices")
      ->required()
      ->check(CLI::IsMember({"q8_0", "q4_0", "q4_k", "q5_k", "q6_k"}));
  command.add_option("--threads", given->threads, "threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command.callback([&chosen, given] {
    chosen = [given] { return quantize(given->from, given->to, given->type, given->threads); };
  });
}

}  // namespace

void add_model(CLI::App& app, action& chosen) {
  CLI::App& model = *app.add_subcommand("model", "make, look at, quantize and judge model files");
  model.require_subcommand(1);
  add_make(model, chosen);

  struct file_options {
    std::string path, text;
    bool json = false;
  };
  auto looked_at = std::make_shared<file_options>();
  CLI::App& inspect_command =
      *model.add_subcommand("inspect", "show a file's digest, metadata and tensors");
  inspect_command.add_option("FILE", looked_at->path, "a GGUF file")->required();
  inspect_command.add_flag("--json", looked_at->json, "print one JSON document (tools/README.md)");
  inspect_command.callback([&chosen, looked_at] {
    chosen = [looked_at] { return inspect(looked_at->path, looked_at->json); };
  });

  add_quantize(model, chosen);
  add_perplexity(model, chosen);

  auto cut = std::make_shared<file_options>();
  CLI::App& tokenize_command = *model.add_subcommand(
      "tokenize", "print the ids of a plain text: no beginning token, no special tokens parsed");
  tokenize_command
      .add_option("--model", cut->path, "a GGUF file; one with a vocabulary only will do")
      ->required();
  tokenize_command.add_option("--text", cut->text, "the text, UTF-8")->required();
  tokenize_command.add_flag("--json", cut->json, "print one JSON document (tools/README.md)");
  tokenize_command.callback(
      [&chosen, cut] { chosen = [cut] { return tokenize(cut->path, cut->text, cut->json); }; });
}

}  // namespace troupe::cli
